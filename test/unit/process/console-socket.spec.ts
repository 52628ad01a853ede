import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode } from '../../../agent/errors.ts';
import { receiveConsole } from '../../../agent/process/console-socket.ts';
import { native } from '../../../native/index.ts';

const TIMEOUT_MS = 50;

describe('the socket on which crun hands over a terminal', () => {
  let directory: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'berth-console-'));
  });

  afterEach(() => rm(directory, { recursive: true }));

  async function send(path: string): Promise<void> {
    const door = native();
    const socket = await door.socketIn(undefined, 'unix');
    const connected = await door.connectSocket(socket, path, 0, 1_000);
    const { master, slave } = door.openPty();
    door.sendFds(connected, Buffer.from('/dev/pts/0'), [master]);
    for (const fd of [socket, connected, master, slave]) door.close(fd);
  }

  it('waits as long as crun takes to begin with', async () => {
    const console = await receiveConsole(directory, TIMEOUT_MS);
    await sleep(2 * TIMEOUT_MS);
    await send(console.path);
    const master = await console.master();
    assert.ok(master > 2);
    native().close(master);
    assert.deepEqual(await readdir(directory), []);
  });

  it('gives up on one that has returned and sent none', async () => {
    const console = await receiveConsole(directory, TIMEOUT_MS);
    await assert.rejects(console.master(), (error) => hasCode(error, 'deadline_exceeded'));
    assert.deepEqual(await readdir(directory), []);
  });
});
