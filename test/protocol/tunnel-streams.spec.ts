// Tunnels as a program has them: streams of Node's, and ports of this machine that lead into a guest. The real agent, on this machine.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type Guest } from '../../client/api/guest.ts';
import { TunnelError } from '../../client/api/tunnel.ts';
import { type NativeTestAgent, startNativeAgent } from '../support/native-agent.ts';

const MIB = 1024 * 1024;

describe('a tunnel as a stream', function () {
  this.timeout(60_000);
  let agent: NativeTestAgent;
  let guest: Guest;
  let folder: string;
  const servers: net.Server[] = [];

  before(async () => {
    agent = await startNativeAgent();
    guest = await connect(agent.address);
    folder = await mkdtemp(join(tmpdir(), 'berth-tunnels-'));
  });
  after(async () => {
    await guest?.close();
    for (const server of servers) server.close();
    await agent?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  const listen = async (server: net.Server): Promise<number> => {
    servers.push(server.listen(0, '127.0.0.1'));
    await once(server, 'listening');
    return (server.address() as net.AddressInfo).port;
  };
  const serve = (onConnection: (socket: net.Socket) => void) =>
    listen(
      net.createServer({ allowHalfOpen: true }, (socket) => {
        socket.on('error', () => {});
        onConnection(socket);
      }),
    );

  it('carries a request to its end and then the answer to its end', async () => {
    const sent = randomBytes(6 * MIB);
    const port = await serve((socket) => {
      const hash = createHash('sha256');
      socket.on('data', (chunk) => hash.update(chunk));
      socket.on('end', () => socket.end(hash.digest('hex')));
    });
    const tunnel = await guest.tunnel({ port });
    tunnel.end(sent);
    assert.equal((await buffer(tunnel)).toString(), createHash('sha256').update(sent).digest('hex'));
    if (!tunnel.closed) await once(tunnel, 'close');
    assert.equal(tunnel.errored, null);
  });

  it('loses nothing of what is written after the other side has ended', async () => {
    const got = Promise.withResolvers<Buffer>();
    // More than the kernel takes of a Unix socket, and no more than waits in the agent beside that: it is all gone from here before any is read.
    const sent = randomBytes(400 * 1024);
    const path = join(folder, 'slow.sock');
    const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
      socket.end('done');
      setTimeout(() => buffer(socket).then(got.resolve, got.reject), 500);
    });
    servers.push(server.listen(path));
    await once(server, 'listening');
    const tunnel = await guest.tunnel({ unix: path });
    assert.equal((await buffer(tunnel)).toString(), 'done');
    tunnel.end(sent);
    await once(tunnel, 'close');
    assert.ok((await got.promise).equals(sent));
  });

  it('holds its writer back when nobody reads', async () => {
    const port = await serve((socket) => socket.pause());
    const tunnel = await guest.tunnel({ port });
    tunnel.on('error', () => {});
    const block = Buffer.alloc(64 * 1024);
    let taken = 0;
    const write = () => {
      tunnel.write(block, () => {
        taken += block.length;
        write();
      });
    };
    write();
    for (let before = -1; before !== taken; ) {
      before = taken;
      await sleep(200);
    }
    // What the sockets of this machine hold, the window, and no more.
    assert.ok(taken < 32 * MIB, `${taken} bytes were taken`);
    tunnel.destroy();
  });

  it('gives what came before it tells a reset', async () => {
    const port = await serve((socket) => {
      socket.write('last words');
      socket.once('data', () => socket.resetAndDestroy());
    });
    const tunnel = await guest.tunnel({ port });
    const failed = once(tunnel, 'error');
    await sleep(50);
    // It has come, and nobody has read it yet.
    tunnel.write('x');
    await sleep(50);
    assert.equal((await once(tunnel, 'data'))[0].toString(), 'last words');
    const [error] = (await failed) as [TunnelError];
    assert.ok(error instanceof TunnelError);
    assert.match(error.errno, /^(ECONNRESET|EPIPE)$/);
  });

  it('gives what Node holds of it already before it tells a reset', async () => {
    const port = await serve((socket) => {
      socket.write('last words');
      socket.once('data', () => socket.resetAndDestroy());
    });
    const tunnel = await guest.tunnel({ port });
    const failed = once(tunnel, 'error');
    await once(tunnel, 'readable');
    tunnel.write('x');
    await sleep(100);
    assert.equal(tunnel.destroyed, false);
    assert.equal(tunnel.read()?.toString(), 'last words');
    const [error] = (await failed) as [TunnelError];
    assert.ok(error instanceof TunnelError);
  });

  it('tells a writer that does not read of a reset', async () => {
    const port = await serve((socket) => setTimeout(() => socket.resetAndDestroy(), 50));
    const tunnel = await guest.tunnel({ port });
    const failed = once(tunnel, 'error');
    const write = () => tunnel.write(Buffer.alloc(64 * 1024), (error) => error ?? write());
    write();
    const [error] = (await failed) as [TunnelError];
    assert.equal(error.code, 'unavailable');
  });

  it('says why it can not be had', async () => {
    const port = await serve(() => {});
    await new Promise((resolve) => servers.pop()!.close(resolve));
    const refused = (errno: string) => (error: unknown) => error instanceof TunnelError && error.errno === errno;
    await assert.rejects(guest.tunnel({ port }), refused('ECONNREFUSED'));
    await assert.rejects(guest.tunnel({ unix: join(folder, 'none') }), refused('ENOENT'));
    await assert.rejects(guest.container('none').tunnel({ port }), { code: 'not_found' });
    await assert.rejects(guest.tunnel({ port: 70_000 }), { code: 'invalid_argument' });
    const stop = new AbortController();
    stop.abort();
    await assert.rejects(guest.tunnel({ port }, { signal: stop.signal }), { code: 'cancelled' });
  });

  it('serves as the connection of other libraries', async () => {
    const port = await listen(http.createServer((request, response) => response.end(`you asked for ${request.url}`)));
    const tunnel = await guest.tunnel({ port });
    const request = http.get({ path: '/status', host: 'guest', createConnection: () => tunnel });
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    assert.equal((await buffer(response)).toString(), 'you asked for /status');
  });

  it('ends with its connection to the agent', async () => {
    const own = await connect(agent.address);
    const port = await serve((socket) => socket.resume());
    const tunnel = await own.tunnel({ port });
    const failed = once(tunnel, 'error');
    tunnel.resume();
    await own.close();
    await failed;
  });

  describe('forwarded from this machine', () => {
    const dial = (to: net.NetConnectOpts): net.Socket => net.connect({ allowHalfOpen: true, ...to } as net.NetConnectOpts);

    it('leads many connections there, each with its own ends', async () => {
      const port = await serve((socket) => void buffer(socket).then((all) => socket.end(all.reverse())));
      await using forward = await guest.forward({ listen: 0, to: { port } });
      await Promise.all(
        Array.from({ length: 20 }, async () => {
          const sent = randomBytes(300_000);
          const socket = dial({ port: forward.port });
          socket.end(sent);
          assert.ok((await buffer(socket)).equals(Buffer.from(sent).reverse()));
        }),
      );
      for (let tries = 0; forward.connections > 0 && tries < 200; tries++) await sleep(10);
      assert.equal(forward.connections, 0);
    });

    it('loses nothing that was written after the answer ended', async () => {
      const sent = randomBytes(4 * MIB);
      const got = Promise.withResolvers<Buffer>();
      const port = await serve((socket) => {
        socket.end();
        setTimeout(() => got.resolve(buffer(socket)), 200);
      });
      await using forward = await guest.forward({ listen: 0, to: { port } });
      const socket = dial({ port: forward.port });
      await buffer(socket);
      socket.end(sent);
      assert.ok((await got.promise).equals(sent));
    });

    it('resets who comes when nothing answers there, and goes on', async () => {
      const path = join(folder, 'late.sock');
      const errors: Error[] = [];
      await using forward = await guest.forward({ listen: 0, to: { unix: path }, onError: (error) => errors.push(error) });
      const [error] = (await once(dial({ port: forward.port }), 'error')) as [NodeJS.ErrnoException];
      assert.equal(error.code, 'ECONNRESET');
      assert.equal((errors[0] as TunnelError).errno, 'ENOENT');
      const server = net.createServer((socket) => socket.end('now')).listen(path);
      servers.push(server);
      await once(server, 'listening');
      assert.equal((await buffer(dial({ port: forward.port }))).toString(), 'now');
    });

    it('resets the listener when who came is reset, and the other way round', async () => {
      const ends: string[] = [];
      let last: net.Socket | undefined;
      const port = await serve((socket) => {
        last = socket;
        socket.on('error', (error: NodeJS.ErrnoException) => ends.push(error.code!));
        socket.on('end', () => ends.push('end'));
        socket.write('hello');
        socket.resume();
      });
      await using forward = await guest.forward({ listen: 0, to: { port } });
      const first = dial({ port: forward.port });
      await once(first, 'data');
      first.resetAndDestroy();
      for (let tries = 0; ends.length === 0 && tries < 200; tries++) await sleep(10);
      assert.deepEqual(ends, ['ECONNRESET']);
      const second = dial({ port: forward.port });
      await once(second, 'data');
      last!.resetAndDestroy();
      const [error] = (await once(second, 'error')) as [NodeJS.ErrnoException];
      assert.equal(error.code, 'ECONNRESET');
    });

    it('listens on a Unix socket as well, and cuts everything when it is closed', async () => {
      const port = await serve((socket) => socket.pipe(socket));
      const path = join(folder, 'forward.sock');
      const forward = await guest.forward({ listen: { unix: path }, to: { port } });
      const socket = dial({ path });
      socket.write('x');
      await once(socket, 'data');
      const closed = once(socket, 'close');
      socket.on('end', () => socket.destroy());
      await forward.close();
      await closed;
      await assert.rejects(once(dial({ path }), 'connect'), { code: 'ENOENT' });
    });

    it('says when it can not listen', async () => {
      const port = await serve(() => {});
      await assert.rejects(guest.forward({ listen: port, to: { port } }), { code: 'EADDRINUSE' });
    });
  });
});
