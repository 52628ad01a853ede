// HTTP/2 as bytes: floods, broken flow control, random frames, bombs. The connection may go; the agent and its other clients stay.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import { setTimeout as sleep } from 'node:timers/promises';
import zlib from 'node:zlib';
import { status } from '@grpc/grpc-js';
import { MAX_GRPC_STREAMS } from '../../agent/rpc/limits.ts';
import { kataClient } from '../../client/kata/services.ts';
import { FixtureServer } from './fixture-server.ts';
import { SERVICE } from './fixture-service.ts';

describe('the gRPC server, against HTTP/2 that means no good,', () => {
  let fixture: FixtureServer;

  beforeEach(async () => {
    fixture = await FixtureServer.start();
  });
  afterEach(() => fixture.stop());

  const check = async () => {
    const channel = await fixture.channel('grpc');
    assert.equal((await kataClient(channel).health.check({}, { timeoutMs: 2_000 })).status, 1);
    channel.close();
  };

  const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  const frame = (type: number, flags: number, streamId: number, payload: Buffer = Buffer.alloc(0)) => {
    const header = Buffer.alloc(9);
    header.writeUIntBE(payload.length, 0, 3);
    header[3] = type;
    header[4] = flags;
    header.writeUInt32BE(streamId, 5);
    return Buffer.concat([header, payload]);
  };
  const settings = frame(4, 0, 0);

  /** Sends until the agent hangs up or there is no more; true when it hung up. */
  async function flood(chunks: Iterable<Buffer>): Promise<boolean> {
    const socket = await fixture.socket();
    let closed = false;
    socket.once('close', () => {
      closed = true;
    });
    socket.resume();
    socket.write(Buffer.concat([PREFACE, settings]));
    for (const chunk of chunks) {
      if (closed) break;
      if (!socket.write(chunk))
        await Promise.race([once(socket, 'drain').catch(() => {}), new Promise((resolve) => socket.once('close', resolve))]);
    }
    await Promise.race([sleep(2_000), new Promise((resolve) => (closed ? resolve(0) : socket.once('close', resolve)))]);
    socket.destroy();
    return closed;
  }
  function* times(count: number, make: (i: number) => Buffer): Generator<Buffer> {
    for (let i = 0; i < count; i++) yield make(i);
  }
  // :method POST, :scheme http (indexed), :path and content-type as literals without indexing (RFC 7541, 6.2.2)
  const literal = (name: string, value: string) =>
    Buffer.concat([Buffer.from([0, name.length]), Buffer.from(name), Buffer.from([value.length]), Buffer.from(value)]);
  const headers = Buffer.concat([
    Buffer.from([0x83, 0x86]),
    literal(':path', `/${SERVICE}/Block`),
    literal('content-type', 'application/grpc'),
  ]);

  it('ends a rapid reset', async () => {
    const reset = (i: number) =>
      Buffer.concat([frame(1, 4, 2 * i + 1, headers), frame(3, 0, 2 * i + 1, Buffer.from([0, 0, 0, 8]))]);
    assert.equal(await flood(times(20_000, reset)), true);
    assert.ok(fixture.seen.blocked < 100, `${fixture.seen.blocked} handlers are left`);
    await check();
  });

  it('goes on serving others through a flood of SETTINGS', async () => {
    await flood(times(20_000, () => settings));
    await check();
  });

  it('goes on serving others through a flood of PINGs', async () => {
    await flood(times(50_000, () => frame(6, 0, 0, Buffer.alloc(8))));
    await check();
  });

  it('ends CONTINUATION without an end', async () => {
    function* endless(): Generator<Buffer> {
      yield frame(1, 0, 1, headers);
      for (let i = 0; i < 5_000; i++) yield frame(9, 0, 1, literal('x', 'y'.repeat(100)));
    }
    assert.equal(await flood(endless()), true);
    await check();
  });

  it('ends an overflow of the window', async () => {
    const update = frame(8, 0, 0, Buffer.from([0x7f, 0xff, 0xff, 0xff]));
    assert.equal(await flood([update, update]), true);
    await check();
  });

  it('survives random frames', async () => {
    let seed = 7;
    const random = (limit: number) => {
      seed = (seed * 1103515245 + 12345) & 0x7fffffff;
      return seed % limit;
    };
    for (let round = 0; round < 40; round++) {
      const socket = await fixture.socket();
      socket.resume();
      socket.write(Buffer.concat([PREFACE, settings]));
      const payload = () => Buffer.from(Array.from({ length: random(40) }, () => random(256)));
      for (let i = 0; i < 20; i++) socket.write(frame(random(12), random(256), random(8), payload()));
      await sleep(2);
      socket.destroy();
    }
    await check();
  });

  it('bounds the calls of one connection', async () => {
    const socket = await fixture.socket();
    const session = http2.connect('http://x', { createConnection: () => socket });
    await once(session, 'remoteSettings');
    assert.equal(session.remoteSettings.maxConcurrentStreams, MAX_GRPC_STREAMS);
    session.destroy();
  });

  it('refuses a gzip bomb unopened', async () => {
    const socket = await fixture.socket();
    const session = http2.connect('http://x', { createConnection: () => socket });
    const bomb = zlib.gzipSync(Buffer.alloc(64 * 1024 * 1024));
    const stream = session.request({
      ':method': 'POST',
      ':path': `/${SERVICE}/Echo`,
      'content-type': 'application/grpc',
      'grpc-encoding': 'gzip',
      te: 'trailers',
    });
    const head = Buffer.alloc(5);
    head[0] = 1;
    head.writeUInt32BE(bomb.length, 1);
    const answered = once(stream, 'response');
    stream.on('error', () => {});
    const before = process.cpuUsage();
    stream.end(Buffer.concat([head, bomb]));
    const [response] = (await answered) as [http2.IncomingHttpHeaders];
    assert.equal(response['grpc-status'], String(status.UNIMPLEMENTED));
    assert.ok(process.cpuUsage(before).user < 200_000);
    session.destroy();
  });
});
