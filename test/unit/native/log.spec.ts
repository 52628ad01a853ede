// What logs of streams lean on: bytes moved by the kernel, and positions that are exact whatever was moved.
import assert from 'node:assert/strict';
import { readSync, statSync, writeSync } from 'node:fs';
import { native, type Watch } from '../../../native/index.ts';
import { assertNoFdLeak, turn } from './fixture.ts';

const door = () => native();

function pattern(length: number): Buffer {
  return Buffer.from(Uint8Array.from({ length }, (_, at) => (at * 31 + (at >> 8)) & 0xff));
}

function readFrom(fd: number, length: number): Buffer {
  const buffer = Buffer.alloc(length);
  return buffer.subarray(0, readSync(fd, buffer));
}

describe('native logs', () => {
  let open: number[] = [];
  let watches: Watch[] = [];
  const own = <T extends number | [number, number]>(fds: T): T => {
    open.push(...[fds].flat());
    return fds;
  };
  /** A pipe whose writing end does not block. */
  const pipe = (): [number, number] => {
    const ends = own(door().pipe());
    watches.push(door().watchWritable(ends[1], () => {}));
    watches.at(-1)!.pause();
    return ends;
  };
  afterEach(() => {
    for (const watch of watches) watch.close();
    for (const fd of open) door().close(fd);
    open = [];
    watches = [];
  });

  it('move a pipe into a file at the position that the file itself keeps', () => {
    const [from, to] = own(door().pipe());
    const log = own(door().memfdCreate('log'));
    assert.equal(door().splice(from, log, 65536), -1);
    writeSync(to, 'hello ');
    assert.equal(door().splice(from, log, 65536), 6);
    writeSync(to, 'world');
    assert.equal(door().splice(from, log, 3), 3);
    assert.equal(door().filePosition(log), 9n);
    assert.equal(door().splice(from, log, 65536), 2);
    const buffer = Buffer.alloc(64);
    assert.equal(door().readAt(log, buffer, 4n), 7);
    assert.equal(buffer.toString('latin1', 0, 7), 'o world');
    assert.equal(door().filePosition(log), 11n, 'reading moves nothing');
    assert.equal(door().fileSize(log), 11n);
    door().close(to);
    open = open.filter((fd) => fd !== to);
    assert.equal(door().splice(from, log, 65536), 0, 'the end of the pipe');
  });

  it('move a terminal into a file by way of a pipe', () => {
    const { master, slave } = door().openPty();
    own(master);
    own(slave);
    door().makeRaw(slave);
    watches.push(door().watchReadable(master, () => {}));
    const [from, to] = pipe();
    const log = own(door().memfdCreate('log'));
    assert.equal(door().splice(master, to, 65536), -1);
    writeSync(slave, pattern(2000));
    assert.equal(door().splice(master, to, 65536), 2000);
    assert.equal(door().splice(from, log, 65536), 2000);
    const buffer = Buffer.alloc(2000);
    door().readAt(log, buffer, 0n);
    assert.deepEqual(buffer, pattern(2000));
  });

  for (const kind of ['pipe', 'terminal'] as const) {
    it(`move a file into a ${kind} and stop, exactly counted, where it is full`, async () => {
      const bytes = pattern(200_000);
      const file = own(door().memfdCreate('input'));
      assert.equal(door().writeAt(file, bytes, 0n), bytes.length);
      let into: number;
      let from: number;
      if (kind === 'pipe') [from, into] = pipe();
      else {
        const { master, slave } = door().openPty();
        own(master);
        own(slave);
        door().makeRaw(slave);
        watches.push(door().watchWritable(master, () => {}));
        watches.at(-1)!.pause();
        [from, into] = [slave, master];
      }
      const got: Buffer[] = [];
      let sent = 0;
      while (sent < bytes.length) {
        for (let moved = 0; moved >= 0 && sent < bytes.length; ) {
          moved = door().sendFile(into, file, 1 << 20);
          sent += Math.max(moved, 0);
          assert.equal(door().filePosition(file), BigInt(sent));
        }
        if (sent >= 8192) door().punchHole(file, 0n, BigInt(sent & ~4095)); // what the reader has yet to see stays as it was
        await turn(); // a terminal hands its bytes on from a kernel thread
        got.push(readFrom(from, 10_000));
      }
      for (let length = Buffer.concat(got).length; length < bytes.length; length += got.at(-1)!.length) {
        got.push(readFrom(from, 10_000));
      }
      assert.ok(Buffer.concat(got).equals(bytes));
    });
  }

  it('leave a byte that nobody can take where it was', () => {
    const [from, to] = pipe();
    const file = own(door().memfdCreate('input'));
    door().writeAt(file, Buffer.from('abc'), 0n);
    door().close(from);
    open = open.filter((fd) => fd !== from);
    assert.throws(() => door().sendFile(to, file, 3), { code: 'EPIPE', syscall: 'sendfile' });
    assert.equal(door().filePosition(file), 0n);
  });

  it('give memory back in the middle of a file', () => {
    const file = own(door().memfdCreate('log'));
    door().writeAt(file, pattern(64 * 1024), 0n);
    const blocks = () => statSync(`/proc/self/fd/${file}`).blocks;
    const before = blocks();
    door().punchHole(file, 0n, 32_768n);
    assert.equal(blocks(), before / 2);
    assert.equal(door().fileSize(file), 65_536n);
    const buffer = Buffer.alloc(65_536);
    door().readAt(file, buffer, 0n);
    assert.ok(buffer.subarray(0, 32_768).every((byte) => byte === 0));
    assert.ok(buffer.subarray(32_768).equals(pattern(64 * 1024).subarray(32_768)));
  });

  it('count past what fits in 53 bits', () => {
    const file = own(door().memfdCreate('log'));
    const far = (1n << 60n) + 123n;
    assert.equal(door().writeAt(file, Buffer.from('z'), far), 1);
    assert.equal(door().fileSize(file), far + 1n);
    const buffer = Buffer.alloc(4);
    assert.equal(door().readAt(file, buffer, far), 1);
    assert.equal(buffer[0], 0x7a);
  });

  it('say which argument is wrong', () => {
    const file = own(door().memfdCreate('log'));
    for (const [call, name] of [
      [() => door().splice(file, file, 0), 'maxBytes'],
      [() => door().splice(-1, file, 1), 'from'],
      [() => door().sendFile(file, file, 2 ** 21), 'maxBytes'],
      [() => door().readAt(file, 'x' as never, 0n), 'buffer'],
      [() => door().writeAt(file, Buffer.alloc(1), 0 as never), 'offset'],
      [() => door().punchHole(file, 5n, 5n), 'to'],
      [() => door().memfdCreate(''), 'name'],
    ] as const) {
      assert.throws(call, { name: 'TypeError', message: new RegExp(`"${name}"`) });
    }
  });

  it('keep a position that a read elsewhere leaves alone, until they are wound back', () => {
    const file = own(door().memfdCreate('log'));
    const [from, to] = own(door().pipe());
    writeSync(to, 'abcdef');
    door().splice(from, file, 4);
    const buffer = Buffer.alloc(3);
    door().readAt(file, buffer, 1n);
    assert.deepEqual([buffer.toString(), door().filePosition(file)], ['bcd', 4n]);
    door().rewind(file);
    assert.equal(door().filePosition(file), 0n);
    door().splice(from, file, 2);
    door().readAt(file, buffer, 0n);
    assert.equal(buffer.toString(), 'efc');
  });

  it('tell an empty source from a full target', () => {
    const [from, to] = own(door().pipe());
    assert.equal(door().isReadable(from), false);
    writeSync(to, 'x');
    assert.equal(door().isReadable(from), true);
    readSync(from, Buffer.alloc(1));
    door().close(to);
    open = open.filter((fd) => fd !== to);
    assert.equal(door().isReadable(from), true, 'the end can be read');
    assert.throws(() => door().isReadable(2 ** 20), { code: 'EBADF' });
  });

  it('wait for room only while asked to', async () => {
    const ends = own(door().pipe());
    let calls = 0;
    const watch = door().watchWritable(ends[1], () => {
      calls++;
    });
    watches.push(watch);
    await turn();
    assert.ok(calls > 0);
    watch.pause();
    const then = calls;
    await turn();
    assert.equal(calls, then);
    watch.resume();
    await turn();
    assert.ok(calls > then);
  });

  it('find the slave of a terminal without its path', () => {
    const { master, slave } = door().openPty();
    own(master);
    own(slave);
    const peer = own(door().openTerminalPeer(master));
    assert.equal(statSync(`/proc/self/fd/${peer}`).ino, statSync(`/proc/self/fd/${slave}`).ino);
  });

  it('leave nothing open', () =>
    assertNoFdLeak(20, () => {
      const fd = door().memfdCreate('log');
      door().close(fd);
    }));
});
