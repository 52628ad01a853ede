// berth.v1.Tunnels end to end: the real agent on this machine, gRPC over a Unix socket, listeners of this machine. What a container's
// network and root are is seen on a booted guest (test/vm/tunnels.spec.ts).
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode } from '../../agent/errors.ts';
import type { RpcChannel } from '../../client/rpc/channel.ts';
import { openChannel } from '../../client/rpc/open-channel.ts';
import { native } from '../../native/index.ts';
import { type NativeTestAgent, startNativeAgent } from '../support/native-agent.ts';
import { type Target, TestTunnel } from '../support/tunnels-client.ts';

const MIB = 1024 * 1024;
const SMALL_WINDOW = 32 * 1024;

describe('a tunnel', function () {
  this.timeout(60_000);
  let agent: NativeTestAgent;
  let agentPid: number;
  let channel: RpcChannel;
  let folder: string;
  const servers: net.Server[] = [];

  before(async () => {
    agent = await startNativeAgent();
    folder = await mkdtemp(join(tmpdir(), 'berth-tunnel-'));
    channel = await openChannel(agent.address, { protocol: 'grpc', timeoutMs: 10_000 });
    agentPid = Number((await readFile(`/proc/${agent.pid}/task/${agent.pid}/children`, 'utf8')).trim().split(' ')[0]);
  });
  after(async () => {
    channel?.close();
    for (const server of servers) server.close();
    await agent?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  /** Listens on this machine and gives what leads there. */
  const listen = async (onConnection: (socket: net.Socket) => void, path?: string): Promise<Target> => {
    const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
      socket.on('error', () => {});
      onConnection(socket);
    });
    servers.push(server);
    await new Promise<void>((resolve) =>
      path === undefined ? server.listen(0, '127.0.0.1', resolve) : server.listen(path, resolve),
    );
    const credit = MIB;
    return path === undefined
      ? { tcp: { port: (server.address() as net.AddressInfo).port }, credit }
      : { unix: { path }, credit };
  };
  const open = (target: Target, on = channel) => new TestTunnel(on, target);
  const agentFds = async () => (await readdir(`/proc/${agentPid}/fd`)).length;

  for (const kind of ['TCP', 'Unix'] as const) {
    const path = () => (kind === 'TCP' ? undefined : join(folder, `${Math.random()}.sock`));

    it(`over ${kind} carries megabytes both ways, each side ending when it likes`, async () => {
      const [up, down] = [randomBytes(8 * MIB), randomBytes(8 * MIB)];
      const got = createHash('sha256');
      const target = await listen((socket) => {
        // It answers only after the end of what it is sent, and the other way is still open then.
        socket.on('data', (chunk) => got.update(chunk));
        socket.on('end', () => socket.end(down));
        socket.resume();
      }, path());
      const tunnel = open(target);
      await tunnel.write(up);
      assert.equal(tunnel.ended, false);
      await tunnel.end();
      await tunnel.finished;
      assert.equal(got.digest('hex'), createHash('sha256').update(up).digest('hex'));
      assert.equal(tunnel.received, down.length);
      assert.ok(Buffer.concat(tunnel.chunks).equals(down));
      assert.equal(tunnel.ended, true);
    });

    it(`over ${kind} goes on upwards after the listener has ended its side`, async () => {
      const text = Promise.withResolvers<string>();
      const target = await listen((socket) => {
        socket.end('bye');
        let got = '';
        socket.on('data', (chunk) => (got += chunk));
        socket.on('end', () => text.resolve(got));
        socket.resume();
      }, path());
      const tunnel = open(target);
      await tunnel.until(() => tunnel.ended, 'the end was told');
      assert.equal(tunnel.text, 'bye');
      await tunnel.write(Buffer.from('still here'));
      await sleep(20);
      await tunnel.write(Buffer.from(', and now gone'));
      await tunnel.end();
      tunnel.stream.end();
      assert.equal(await text.promise, 'still here, and now gone');
      await tunnel.finished;
    });
  }

  it('gives what can still be read before it tells that the listener takes no more', async () => {
    const answer = randomBytes(100_000);
    const target = await listen(
      (socket) => {
        // Without having read the request, as a server does that refuses it by its length.
        socket.write(answer, () => setTimeout(() => socket.destroy(), 50));
      },
      join(folder, 'early.sock'),
    );
    const tunnel = open({ ...target, credit: 10 });
    await tunnel.write(Buffer.alloc(100_000));
    await sleep(100);
    await tunnel.stream.send({ data: Buffer.alloc(1000) });
    await sleep(50);
    await tunnel.stream.send({ credit: MIB });
    await tunnel.finished;
    assert.ok(Buffer.concat(tunnel.chunks).equals(answer));
    // The kernel tells the reader of a Unix socket ECONNRESET where bytes were left unread (man 7 unix).
    assert.match(tunnel.reset ?? '', /^(ECONNRESET|EPIPE)$/);
  });

  it('tells a reset by its errno', async () => {
    const target = await listen((socket) => {
      socket.once('data', () => socket.resetAndDestroy());
      socket.resume();
    });
    const tunnel = open(target);
    await tunnel.write(Buffer.from('x'));
    await tunnel.finished;
    assert.equal(tunnel.reset, 'ECONNRESET');
    assert.equal(tunnel.ended, false);
  });

  const refusal = async (target: Target) => {
    const error: unknown = await open(target).finished.then(
      () => assert.fail('it was connected'),
      (reason: unknown) => reason,
    );
    return error as { code: string; message: string; fields: Record<string, unknown> };
  };

  it('that leads nowhere is UNAVAILABLE and names the errno', async () => {
    const { tcp } = await listen(() => {});
    await new Promise((resolve) => servers.pop()!.close(resolve));
    const refused = await refusal({ tcp });
    assert.equal(refused.code, 'unavailable');
    assert.equal(refused.fields['berth-errno'], 'ECONNREFUSED');
    assert.match(refused.message, new RegExp(`127\\.0\\.0\\.1:${tcp!.port}: ECONNREFUSED`));
    const missing = await refusal({ unix: { path: join(folder, 'none') } });
    assert.deepEqual([missing.code, missing.fields['berth-errno']], ['unavailable', 'ENOENT']);
    const abstract = await refusal({ unix: { path: '@berth-nobody' } });
    assert.deepEqual([abstract.code, abstract.fields['berth-errno']], ['unavailable', 'ECONNREFUSED']);
    const container = await refusal({ containerId: 'none', tcp });
    assert.equal(container.code, 'not_found');
  });

  it('that is not answered ends with ETIMEDOUT at its time', async () => {
    const path = join(folder, 'full.sock');
    const { unixListen, socketIn, connectSocket, close } = native();
    const fds = [unixListen(path, 0)];
    // Until its backlog is full: nobody accepts.
    for (;;) {
      const socket = await socketIn(undefined, 'unix');
      const connected = await connectSocket(socket, path, 0, 1000).catch(() => undefined);
      close(socket);
      if (connected === undefined) break;
      fds.push(connected);
    }
    const late = await refusal({ unix: { path }, timeoutMs: 200 });
    assert.deepEqual([late.code, late.fields['berth-errno']], ['unavailable', 'ETIMEDOUT']);
    for (const fd of fds) close(fd);
  });

  it('refuses what makes no sense, and names the field', async () => {
    const cases: [Target, string][] = [
      [{}, 'target'],
      [{ tcp: { port: 0 } }, 'target.tcp.port'],
      [{ tcp: { port: 65_536 } }, 'target.tcp.port'],
      [{ tcp: { host: 'localhost', port: 1 } }, 'target.tcp.host'],
      [{ tcp: { host: 'fe80::1%eth0', port: 1 } }, 'target.tcp.host'],
      [{ unix: { path: 'relative' } }, 'target.unix.path'],
      [{ unix: { path: '@' } }, 'target.unix.path'],
      [{ unix: { path: '/a\0b' } }, 'target.unix.path'],
      [{ unix: { path: `/${'x'.repeat(4095)}` } }, 'target.unix.path'],
      [{ tcp: { port: 1 }, timeoutMs: 60_001 }, 'target.timeout_ms'],
    ];
    for (const [target, field] of cases) {
      const { code, fields } = await refusal(target);
      assert.deepEqual([code, fields['field']], ['invalid_argument', field]);
    }
  });

  it('is ended when its client sends more than it has credit for, or data after the end', async () => {
    const target = await listen(() => {});
    const greedy = open(target);
    await greedy.until(() => greedy.connected, 'it is connected');
    // At once: a socket takes some, and what is told as credit again is room.
    await greedy.stream.send({ data: Buffer.alloc(greedy.credit + 1) });
    await assert.rejects(
      greedy.finished,
      (error) => hasCode(error, 'resource_exhausted') && error.fields['limit'] === 'tunnel-window',
    );
    const late = open(target);
    await late.end();
    await late.stream.send({ data: Buffer.from('x') });
    await assert.rejects(late.finished, (error) => hasCode(error, 'invalid_argument'));
  });

  it('sends no more than there is credit for', async () => {
    const target = await listen((socket) => socket.end(Buffer.alloc(100_000)));
    const tunnel = open({ ...target, credit: 1000 });
    tunnel.stopReading();
    await tunnel.until(() => tunnel.received === 1000, 'the credit was used');
    await sleep(50);
    assert.equal(tunnel.received, 1000);
    await tunnel.stream.send({ credit: 500 });
    await tunnel.until(() => tunnel.received === 1500, 'the rest was used');
    await tunnel.stream.send({ credit: MIB });
    await tunnel.until(() => tunnel.ended, 'all came');
    assert.equal(tunnel.received, 100_000);
    await tunnel.end();
    await tunnel.finished;
  });

  it('that stands still holds up no other of the same connection', async () => {
    const flood = await listen((socket) => {
      const block = Buffer.alloc(64 * 1024);
      const more = () => {
        while (socket.write(block));
      };
      socket.on('drain', more);
      more();
    });
    const deaf = await listen(() => {});
    const echo = await listen((socket) => socket.pipe(socket));
    const unread = Array.from({ length: 8 }, () => open(flood));
    for (const tunnel of unread) tunnel.stopReading();
    const unheard = Array.from({ length: 8 }, () => open(deaf));
    for (const tunnel of unheard) {
      void (async () => {
        for (;;) await tunnel.write(Buffer.alloc(64 * 1024));
      })().catch(() => {});
    }
    for (const tunnel of unread) await tunnel.until(() => tunnel.received === MIB, 'its credit is used up');
    await unheard[0]!.until(() => unheard.every(({ credit, connected }) => connected && credit === 0), 'all are stuck');
    const tunnel = open(echo);
    const sent = randomBytes(4 * MIB);
    await tunnel.write(sent);
    await tunnel.end();
    await tunnel.finished;
    assert.ok(Buffer.concat(tunnel.chunks).equals(sent));
    for (const stuck of [...unread, ...unheard]) stuck.stream.cancel();
  });

  it('has a smaller window when many are open', async () => {
    const target = await listen(() => {});
    const many = Array.from({ length: 65 }, () => open(target));
    for (const tunnel of many) await tunnel.until(() => tunnel.connected, 'it is connected');
    assert.equal(Math.min(...many.map(({ credit }) => credit)), SMALL_WINDOW);
    for (const tunnel of many) tunnel.stream.cancel();
  });

  it('is cut when its client goes: what it led to sees a reset, and nothing of it stays in the agent', async () => {
    const ends: string[] = [];
    const target = await listen((socket) => {
      socket.on('error', (error: NodeJS.ErrnoException) => ends.push(error.code!));
      socket.on('end', () => ends.push('end'));
      socket.resume();
    });
    await sleep(50);
    const before = await agentFds();
    for (const way of ['the call', 'its side of the call', 'the connection'] as const) {
      const own = await openChannel(agent.address, { protocol: 'grpc', timeoutMs: 10_000 });
      const tunnels = Array.from({ length: 10 }, () => open(target, own));
      for (const tunnel of tunnels) await tunnel.write(Buffer.from('half of a requ'));
      if (way === 'the call') for (const tunnel of tunnels) tunnel.stream.cancel();
      else if (way === 'the connection') own.close();
      else for (const tunnel of tunnels) tunnel.stream.end();
      await tunnels[0]!.until(() => ends.length === 10, `all are cut with ${way}`);
      assert.deepEqual(
        ends.splice(0),
        Array.from({ length: 10 }, () => 'ECONNRESET'),
        way,
      );
      own.close();
      await own.closed;
    }
    for (let tries = 0; (await agentFds()) > before + 4 && tries < 100; tries++) await sleep(20);
    assert.ok((await agentFds()) <= before + 4, `${await agentFds()} descriptors, ${before} before`);
  });
});
