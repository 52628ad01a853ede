// What becomes of connections before and after they speak: probes, garbage, silence, floods, shutdown.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import type net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode } from '../../agent/errors.ts';
import { MAX_CONNECTIONS, MAX_SILENT_CONNECTIONS, SNIFF_TIMEOUT_MS } from '../../agent/rpc/limits.ts';
import { kataClient } from '../../client/kata/services.ts';
import { FixtureServer, readToEnd, until } from './fixture-server.ts';
import { SERVICE } from './fixture-service.ts';

describe('a new connection', () => {
  let fixture: FixtureServer;

  beforeEach(async () => {
    fixture = await FixtureServer.start();
  });
  afterEach(() => fixture.stop());

  const check = async () => {
    const channel = await fixture.channel('ttrpc');
    assert.equal((await kataClient(channel).health.check({}, { timeoutMs: 2_000 })).status, 1);
    channel.close();
  };

  /** Refused, not merely dropped for its silence later. */
  const refusedAtOnce = async () => {
    const started = performance.now();
    assert.equal((await readToEnd(await fixture.socket())).length, 0);
    assert.ok(performance.now() - started < 600);
  };

  for (const { title, bytes } of [
    { title: 'HTTP/1.1', bytes: 'GET / HTTP/1.1\r\n\r\n' },
    { title: 'HTTP/1.1 with a P', bytes: 'POST / HTTP/1.1\r\n\r\n' },
    { title: 'a TLS hello', bytes: '\x16\x03\x01\x02\x00\x01' },
    { title: 'SSH', bytes: 'SSH-2.0-x\r\n' },
    { title: 'a preface of another version', bytes: 'PRI * HTTP/3.0\r\n\r\nSM\r\n\r\n' },
  ]) {
    it(`that speaks ${title} is closed without a word`, async () => {
      const socket = await fixture.socket();
      socket.write(Buffer.from(bytes, 'latin1'));
      assert.equal((await readToEnd(socket)).length, 0);
      await until(() => fixture.server.connections === 0, 'the connection is gone');
    });
  }

  it('is closed whatever its first byte, unless it is ttrpc or HTTP/2', async () => {
    for (let first = 1; first < 256; first++) {
      const socket = await fixture.socket();
      socket.write(Buffer.from([first, 0x20]));
      assert.equal((await readToEnd(socket)).length, 0, `first byte ${first}`);
    }
    await check();
  });

  it('that says nothing is closed after five seconds', async () => {
    const socket = await fixture.socket();
    const started = performance.now();
    assert.equal((await readToEnd(socket)).length, 0);
    const took = performance.now() - started;
    assert.ok(took > SNIFF_TIMEOUT_MS - 200 && took < SNIFF_TIMEOUT_MS + 2_000, `${took} ms`);
  }).timeout(15_000);

  it('that dribbles an HTTP/2 preface is closed after five seconds in all', async () => {
    const socket = await fixture.socket();
    const started = performance.now();
    const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
    const closed = readToEnd(socket);
    void (async () => {
      for (const byte of preface) {
        if (socket.destroyed) return;
        socket.write(byte);
        await sleep(400);
      }
    })();
    await closed;
    assert.ok(performance.now() - started < SNIFF_TIMEOUT_MS + 2_000);
  }).timeout(15_000);

  it('may take its time between the bytes of a preface within that', async () => {
    const socket = await fixture.socket();
    const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    for (const byte of preface) {
      socket.write(Buffer.from([byte]));
      await sleep(2);
    }
    socket.write(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]));
    const [settings] = (await once(socket, 'data')) as [Buffer];
    assert.equal(settings[3], 4, 'the agent answers with its SETTINGS');
  });

  it('that leaves at once costs nothing', async () => {
    await check();
    const before = (await readdir('/proc/self/fd')).length;
    for (let i = 0; i < 500; i++) (await fixture.socket()).destroy();
    await until(() => fixture.server.connections === 0, 'all are gone');
    await sleep(20);
    assert.ok((await readdir('/proc/self/fd')).length <= before);
    await check();
  });

  it('finds its way in when many others say nothing, and the oldest of those leave', async () => {
    const started = performance.now();
    const silent: net.Socket[] = [];
    for (let i = 0; i < MAX_SILENT_CONNECTIONS + 10; i++) {
      const socket = await fixture.socket();
      socket.resume();
      silent.push(socket);
    }
    await until(() => silent.slice(0, 10).every((socket) => socket.closed), 'the oldest are closed');
    assert.ok(performance.now() - started < SNIFF_TIMEOUT_MS / 2, 'closed before their silence alone would have done it');
    assert.ok(silent.slice(-10).every((socket) => !socket.closed));
    await check();
  });

  it('is refused above the limit, and let in again when others have left', async () => {
    const speaking: net.Socket[] = [];
    for (let i = 0; i < MAX_CONNECTIONS; i++) {
      const socket = await fixture.socket();
      socket.write(Buffer.from([0]));
      speaking.push(socket);
      await until(() => fixture.server.connections === i + 1, 'it is let in');
    }
    await refusedAtOnce();
    speaking[0]!.destroy();
    await until(() => fixture.server.connections === MAX_CONNECTIONS - 1, 'one has left');
    await check();
  });

  it('is refused while the agent closes', async () => {
    const channel = await fixture.channel('ttrpc');
    const late = channel.unary(SERVICE, 'Late', Buffer.from('1000'));
    await channel.unary(SERVICE, 'Echo', new Uint8Array());
    const closing = fixture.server.close(2_000);
    await refusedAtOnce();
    await assert.rejects(channel.unary(SERVICE, 'Echo', new Uint8Array()), (error) => hasCode(error, 'unavailable'));
    assert.equal(Buffer.from(await late).toString(), '1000');
    await closing;
  });

  it('does not keep the agent from closing by a call that never ends', async () => {
    const channels = [await fixture.channel('ttrpc'), await fixture.channel('grpc')];
    const waiting = channels.map((channel) => channel.unary(SERVICE, 'Block', new Uint8Array()).catch(() => 'ended'));
    await until(() => fixture.seen.blocked === 2, 'both wait');
    const started = performance.now();
    await fixture.server.close(50);
    assert.ok(performance.now() - started < 2_000);
    assert.deepEqual(await Promise.all(waiting), ['ended', 'ended']);
    await until(() => fixture.seen.aborts.length === 2, 'the handlers are told');
  });
});

describe('many clients at once', () => {
  it('get their own answers, on both protocols', async () => {
    const fixture = await FixtureServer.start();
    try {
      const clients = await Promise.all(Array.from({ length: 16 }, (_, i) => fixture.channel(i % 2 ? 'grpc' : 'ttrpc')));
      await Promise.all(
        clients.map(async (channel, i) => {
          const answers = await Promise.all(
            Array.from({ length: 200 }, (_, n) => channel.unary(SERVICE, 'Echo', Buffer.from(`${i}.${n}`))),
          );
          assert.deepEqual(
            answers.map((answer) => Buffer.from(answer).toString()),
            Array.from({ length: 200 }, (_, n) => `${i}.${n}`),
          );
        }),
      );
      for (const channel of clients) channel.close();
      await until(() => fixture.server.connections === 0, 'all are gone');
    } finally {
      await fixture.stop();
    }
  });
});
