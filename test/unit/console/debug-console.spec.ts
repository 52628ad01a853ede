// The debug console without a guest: a plain folder stands for cgroup2, so that what is shown here is all but the killing.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DebugConsole, MAX_SESSIONS } from '../../../agent/console/debug-console.ts';
import { silentLogger } from '../../../agent/log.ts';
import { socketFromFd } from '../../../agent/transport/pipe-handle.ts';
import { native } from '../../../native/index.ts';

describe('the debug console', () => {
  let directory: string;
  let server: net.Server;
  let shells: DebugConsole;

  async function open(cgroupRoot: string): Promise<void> {
    shells = new DebugConsole({ door: native(), socketFromFd, log: silentLogger, cgroupRoot });
    server = net.createServer({ pauseOnConnect: true }, (socket) => shells.accept(socket, 'unix')).listen(join(directory, 's'));
    await once(server, 'listening');
  }

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'berth-console-'));
  });
  afterEach(async () => {
    await shells.close();
    server.close();
    await rm(directory, { recursive: true });
  });

  async function connect() {
    const socket = net.connect(join(directory, 's'));
    socket.on('error', () => {});
    await once(socket, 'connect');
    let text = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    const until = async (pattern: RegExp) => {
      for (let tries = 0; !pattern.test(text); tries++) {
        assert.ok(tries < 500, `no ${pattern} in ${JSON.stringify(text)}`);
        await sleep(10);
      }
    };
    return { socket, until };
  }

  it('gives each connection a shell on a terminal that is its own', async () => {
    await open(directory);
    const one = await connect();
    const two = await connect();
    one.socket.write('echo one $((6 * 7)); tty; ps -o tty= -p $$\r');
    two.socket.write('echo two $((6 * 8))\r');
    await one.until(/[\r\n]one 42\r\n\/dev\/pts\/\d+\r\n\s*pts\/\d+\s*\r\n/);
    await two.until(/[\r\n]two 48\r\n/);
    one.socket.destroy();
    two.socket.destroy();
  });

  it('bounds the sessions, and says so to one too many', async () => {
    await open(directory);
    const sessions = await Promise.all(Array.from({ length: MAX_SESSIONS }, connect));
    for (const { socket, until } of sessions) {
      socket.write('echo up $((1 + 1))\r');
      await until(/[\r\n]up 2\r\n/);
    }
    const ninth = await connect();
    await ninth.until(/8 sessions are open already\r\n/);
    if (!ninth.socket.closed) await once(ninth.socket, 'close');
    assert.equal(shells.sessions, MAX_SESSIONS);
    for (const { socket } of sessions) socket.destroy();
  });

  it('tells its client what went wrong, and keeps no descriptor of it', async () => {
    await open(join(directory, 'absent'));
    const before = (await readdir('/proc/self/fd')).length;
    for (let round = 0; round < 20; round++) {
      const { socket, until } = await connect();
      await until(/debug console: make the cgroup/);
      if (!socket.closed) await once(socket, 'close');
    }
    for (let tries = 0; (await readdir('/proc/self/fd')).length > before; tries++) {
      assert.ok(tries < 100, `${(await readdir('/proc/self/fd')).length} descriptors, ${before} before`);
      await sleep(10);
    }
    assert.equal(shells.sessions, 0);
  });
});
