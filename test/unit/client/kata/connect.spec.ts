import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectKata } from '../../../../client/kata/connect.ts';
import { type ServedFakeAgent, serveFakeAgent } from '../../../support/fake-agent-server.ts';

describe('connecting to an agent', () => {
  let agent: ServedFakeAgent;
  let path: string;
  const servers: net.Server[] = [];

  before(async () => {
    agent = await serveFakeAgent();
    path = join(tmpdir(), `berth-connect-${process.pid}.sock`);
  });

  afterEach(async () => {
    for (const server of servers.splice(0)) server.close();
    await rm(path, { force: true });
  });

  after(() => agent.close());

  /** Something at `path` that is not an agent yet. */
  function listen(onConnection: (socket: net.Socket) => void): void {
    servers.push(net.createServer(onConnection).listen(path));
  }

  /** Hands what comes on to the agent. */
  function forward(socket: net.Socket): void {
    const target = net.connect(agent.address.slice('unix://'.length));
    socket.pipe(target).pipe(socket);
    for (const end of [socket, target]) end.on('error', () => {});
  }

  for (const protocol of ['ttrpc', 'grpc'] as const) {
    it(`gives typed calls over ${protocol}`, async () => {
      await using client = await connectKata(agent.address, { protocol });
      assert.equal(await client.version(), '0.0.0-fake');
      assert.deepEqual(await client.containers(), []);
      await assert.rejects(client.kata.startContainer({ containerId: 'none' }), {
        code: 'not_found',
        message: /`none` not found/,
      });
    });
  }

  it('dials again until somebody listens', async () => {
    setTimeout(() => listen(forward), 100);
    await using client = await connectKata(`unix://${path}`, { timeoutMs: 5000 });
    assert.equal(await client.version(), '0.0.0-fake');
  });

  it('dials again when the connection is taken and dropped, as a VMM does while its guest boots', async () => {
    let dropped = 0;
    listen((socket) => {
      if (dropped++ < 3) socket.destroy();
      else forward(socket);
    });
    await using client = await connectKata(`unix://${path}`, { timeoutMs: 5000 });
    assert.deepEqual([await client.version(), dropped], ['0.0.0-fake', 4]);
  });

  it('gives up at the deadline with the last reason', async () => {
    const started = performance.now();
    await assert.rejects(connectKata(`unix://${path}`, { timeoutMs: 200 }), (error: Error & { code: string }) => {
      assert.equal(error.code, 'unavailable');
      assert.match(error.message, /^no agent answers at unix:\/\/.* within 200 ms$/);
      assert.match(String(error.cause), /ENOENT/);
      return true;
    });
    assert.ok(performance.now() - started < 1000);
  });

  it('gives up on one that takes the connection and says nothing', async () => {
    listen(() => {});
    await assert.rejects(connectKata(`unix://${path}`, { timeoutMs: 200 }), { code: 'unavailable' });
  });

  it('dials once where it is told to', async () => {
    const started = performance.now();
    await assert.rejects(connectKata(`unix://${path}`, { retry: false }), { code: 'unavailable' });
    assert.ok(performance.now() - started < 1000);
  });

  it('does not repeat a bad address', async () => {
    await assert.rejects(connectKata('tcp://host:1'), { code: 'invalid_argument' });
  });

  it('can be given up', async () => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 50);
    await assert.rejects(connectKata(`unix://${path}`, { signal: controller.signal }), { code: 'cancelled' });
  });

  it('tells when the connection is gone', async () => {
    await using client = await connectKata(agent.address);
    const waiting = client.kata.readStdout({ containerId: 'none', len: 1 }).catch((error: { code: string }) => error.code);
    assert.equal(await waiting, 'not_found');
    agent.dropConnections();
    await client.closed;
    await assert.rejects(client.version(), { code: 'unavailable' });
  });
});
