// Pty pairs, window size and raw mode.
import assert from 'node:assert/strict';
import { readFileSync, readSync, statSync, writeSync } from 'node:fs';
import { native } from '../../../native/index.ts';
import { assertNoFdLeak, exitOf, run, spawn, systemError } from './fixture.ts';

describe('native terminals', () => {
  const withPty = async (body: (pty: { master: number; slave: number; path: string }) => void | Promise<void>) => {
    const pty = native().openPty();
    try {
      await body(pty);
    } finally {
      native().close(pty.master);
      native().close(pty.slave);
    }
  };
  const read = (fd: number): string => {
    const chunk = Buffer.alloc(256);
    return chunk.toString('utf8', 0, readSync(fd, chunk));
  };
  /** Runs stty on a terminal, told to print its settings. */
  const settingsOf = async (slave: number): Promise<string> => {
    const [readEnd, writeEnd] = native().pipe();
    const child = spawn('/bin/stty', ['-g'], { fds: [slave, writeEnd, 2] });
    native().close(writeEnd);
    const settings = readFileSync(readEnd, 'utf8');
    native().close(readEnd);
    assert.equal((await exitOf(child)).code, 0);
    return settings;
  };

  it('openPty gives a pair whose ends talk, and the path of the slave', () =>
    withPty(({ master, slave, path }) => {
      assert.match(path, /^\/dev\/pts\/\d+$/);
      assert.ok(statSync(path).isCharacterDevice());
      writeSync(master, 'typed\n');
      assert.equal(read(slave), 'typed\n');
      assert.equal(read(master), 'typed\r\n', 'echoed, as a cooked terminal does');
      writeSync(slave, 'printed\n');
      assert.equal(read(master), 'printed\r\n');
    }));

  it('openPty does not make it the controlling terminal of this process', () =>
    withPty(async ({ path }) => {
      const { stdout } = await run('/bin/ps', ['-o', 'tty=', '-p', String(process.pid)]);
      assert.notEqual(`/dev/${stdout.trim()}`, path);
    }));

  it('gives the size set, from both ends', () =>
    withPty(async ({ master, slave }) => {
      assert.deepEqual(native().getWinsize(master), { rows: 0, columns: 0 });
      native().setWinsize(master, 50, 132);
      assert.deepEqual(native().getWinsize(slave), { rows: 50, columns: 132 });
      native().setWinsize(slave, 65_535, 1);
      assert.deepEqual(native().getWinsize(master), { rows: 65_535, columns: 1 });
    }));

  it('refuses a size that a terminal can not have', () =>
    withPty(({ master }) => {
      assert.throws(() => native().setWinsize(master, 65_536, 1), { name: 'TypeError', message: /"rows"/ });
      assert.throws(() => native().setWinsize(master, 1, -1), { name: 'TypeError', message: /"columns"/ });
    }));

  it('makeRaw passes every byte as it is, and restoreTerminal undoes it', () =>
    withPty(async ({ master, slave }) => {
      const before = await settingsOf(slave);
      const state = native().makeRaw(slave);
      assert.notEqual(await settingsOf(slave), before);
      writeSync(master, '\x03\x04\r');
      assert.equal(read(slave), '\x03\x04\r');
      native().restoreTerminal(slave, state);
      assert.equal(await settingsOf(slave), before);
      assert.match(before, /^[0-9a-f:]+\n$/);
    }));

  it('restoreTerminal refuses what did not come from makeRaw', () =>
    withPty(({ slave }) => {
      const state = native().makeRaw(slave);
      assert.throws(() => native().restoreTerminal(slave, state.subarray(1)), { name: 'TypeError', message: /"state"/ });
      assert.throws(() => native().restoreTerminal(slave, Buffer.alloc(0)), { name: 'TypeError', message: /"state"/ });
    }));

  it('throws ENOTTY for what is no terminal', () => {
    const [readEnd, writeEnd] = native().pipe();
    assert.throws(() => native().getWinsize(readEnd), systemError('ENOTTY', 'ioctl'));
    assert.throws(() => native().setWinsize(readEnd, 1, 1), systemError('ENOTTY', 'ioctl'));
    assert.throws(() => native().makeRaw(readEnd), systemError('ENOTTY', 'tcgetattr'));
    for (const fd of [readEnd, writeEnd]) native().close(fd);
  });

  it('keeps no fd of a pair closed', () => assertNoFdLeak(20, () => withPty(() => {})));
});
