// Kata's passfd on a booted guest: a process's streams on connections of the client's own.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AgentClient } from '../../client/kata/agent-client.ts';
import { createContainer, type KataContainer } from '../../client/kata/container.ts';
import { bootTestGuest, type TestGuest } from '../support/guest.ts';
import { guestResources } from '../support/guest-resources.ts';
import { openPassed, readAll } from '../support/passed-connections.ts';

const PORT = 1027;
const MIB = 1024 * 1024;

describe('streams passed to connections of the client', function () {
  this.timeout(300_000);
  let guest: TestGuest;
  let client: AgentClient;
  let container: KataContainer;
  let execs = 0;

  before(async function () {
    this.timeout(300_000);
    guest = await bootTestGuest({ cmdline: [`agent.passfd_listener_port=${PORT}`] });
    client = await guest.connect('ttrpc');
    container = await createContainer(client.kata, { args: ['sleep', 'inf'], rootfs: guest.busybox });
    await container.start();
  });
  after(async () => {
    await client?.close();
    await guest?.[Symbol.asyncDispose]();
  });

  const open = () => openPassed(guest.guest, PORT);

  async function exec(args: string[], terminal = false) {
    const [stdin, stdout, stderr] = [await open(), await open(), await open()];
    const execId = `passed-${execs++}`;
    await client.kata.execProcess({
      containerId: container.id,
      execId,
      process: { Args: args, Env: ['PATH=/bin:/usr/bin'], Cwd: '/', Terminal: terminal },
      stdinPort: stdin.port,
      stdoutPort: stdout.port,
      stderrPort: terminal ? 0 : stderr.port,
    });
    const wait = () => client.kata.waitProcess({ containerId: container.id, execId });
    return { execId, stdin: stdin.socket, stdout: stdout.socket, stderr: stderr.socket, wait };
  }

  it('carries input, output and errors, and the exit comes after all of them', async () => {
    const { stdin, stdout, stderr, wait } = await exec(['sh', '-c', 'cat; echo oops >&2; exit 3']);
    const waiting = wait();
    stdin.end('hello');
    const [out, err, { status }] = await Promise.all([readAll(stdout), readAll(stderr), waiting]);
    assert.deepEqual([out.toString(), err.toString(), status], ['hello', 'oops\n', 3]);
  });

  it('delivers a flood whole', async () => {
    const bytes = 16 * MIB;
    const { stdin, stdout, stderr, wait } = await exec(['sh', '-c', `yes berth | head -c ${bytes}`]);
    const data = await readAll(stdout);
    assert.equal((await wait()).status, 0);
    const expected = Buffer.alloc(bytes, 'berth\n');
    const digest = (buffer: Buffer) => createHash('sha256').update(buffer).digest('hex');
    assert.equal(digest(data), digest(expected));
    for (const socket of [stdin, stderr]) socket.destroy();
  });

  it('carries a terminal, whose size can be set', async () => {
    const { execId, stdin, stdout, stderr, wait } = await exec(['sh'], true);
    stderr.destroy();
    await client.kata.ttyWinResize({ containerId: container.id, execId, row: 33, column: 77 });
    const output = readAll(stdout);
    stdin.write('stty size; tty; exit 5\r');
    assert.equal((await wait()).status, 5);
    assert.match((await output).toString(), /33 77\r\n\/dev\/pts\/\d/);
    stdin.destroy();
  });

  it('does not let a background child hold up the exit', async () => {
    const { stdin, stdout, stderr, wait } = await exec(['sh', '-c', 'sleep 5 & echo hi; exit 4']);
    const from = performance.now();
    assert.equal((await wait()).status, 4);
    assert.ok(performance.now() - from < 4_000);
    assert.equal((await readAll(stdout)).toString(), 'hi\n');
    for (const socket of [stdin, stderr]) socket.destroy();
  });

  it('refuses a port from which nobody has connected, naming it', async () => {
    await assert.rejects(
      client.kata.execProcess({
        containerId: container.id,
        execId: 'nobody',
        process: { Args: ['true'], Env: [], Cwd: '/' },
        stdoutPort: 4_000_000_001,
      }),
      /4000000001/,
    );
  });

  it('leaves nothing behind', async () => {
    // The first look leaves behind what every later one uses again.
    await guestResources(guest);
    const before = await guestResources(guest);
    for (let i = 0; i < 3; i++) {
      const { stdin, stdout, stderr, wait } = await exec(['echo', 'x']);
      await Promise.all([readAll(stdout), readAll(stderr), wait()]);
      stdin.destroy();
    }
    await sleep(200);
    const after = await guestResources(guest);
    assert.deepEqual(after, before);
  });
});
