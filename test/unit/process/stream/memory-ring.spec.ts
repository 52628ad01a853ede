import assert from 'node:assert/strict';
import { statSync, writeSync } from 'node:fs';
import { endOfRing, MemoryRing } from '../../../../agent/process/stream/memory-ring.ts';
import { type Native, native } from '../../../../native/index.ts';

const SIZE = 16 * 1024;
const byteAt = (offset: number) => (offset * 167 + (offset >> 8)) & 0xff;
const pattern = (from: number, length: number) => Buffer.from(Uint8Array.from({ length }, (_, at) => byteAt(from + at)));

/** Watches which fds the ring has, so that a test can look at them as a later agent would. */
function spy() {
  const door = native();
  const fds: number[] = [];
  const { memfdCreate, reopen } = door;
  Object.assign(door, {
    memfdCreate: (name: string) => {
      fds.push(memfdCreate(name));
      return fds.at(-1);
    },
    reopen: (fd: number) => {
      fds.push(reopen(fd));
      return fds.at(-1);
    },
  } satisfies Partial<Record<keyof Native, unknown>>);
  return { fds, restore: () => Object.assign(door, { memfdCreate, reopen }) };
}

describe('the ring that a log lies in', () => {
  let ends: [number, number];
  beforeEach(() => {
    ends = native().pipe();
  });
  afterEach(() => {
    for (const fd of ends) native().close(fd);
  });

  it('gives back what was appended, over many laps and across their ends', () => {
    const ring = new MemoryRing(SIZE);
    let end = 0;
    for (let step = 0; step < 300; step++) {
      const length = 1 + ((step * 997) % 6000);
      writeSync(ends[1], pattern(end, length));
      for (let moved = 0; moved < length; ) moved += ring.append(ends[0], length - moved);
      end += length;
      const from = Math.max(0, end - SIZE + ((step * 131) % 9000));
      const buffer = Buffer.alloc(end - from);
      ring.readAt(BigInt(from), buffer);
      assert.ok(buffer.equals(pattern(from, end - from)), `step ${step}`);
      ring.forgetBelow(BigInt(from));
    }
    ring.close();
  });

  it('can be told to the byte by its descriptions alone, wherever the agent was killed', () => {
    const { fds, restore } = spy();
    const door = native();
    const { rewind, writeAt, splice } = door;
    try {
      const ring = new MemoryRing(SIZE);
      let taken = 0;
      const check = () => assert.equal(endOfRing(fds[0]!, fds[1], SIZE), BigInt(taken));
      // Each of these is a moment at which the agent may be killed: before and after every call into the kernel.
      const around =
        <A extends unknown[], R>(call: (...args: A) => R, count: (result: R) => void = () => {}) =>
        (...args: A): R => {
          if (fds.length > 0) check();
          const result = call(...args);
          count(result);
          check();
          return result;
        };
      Object.assign(door, {
        rewind: around(rewind),
        writeAt: around(writeAt),
        splice: around(splice, (moved) => {
          taken += Math.max(moved, 0);
        }),
      });
      for (let step = 0; step < 200; step++) {
        writeSync(ends[1], Buffer.alloc(1 + ((step * 331) % 5000)));
        while (ring.append(ends[0], 4096) > 0);
      }
      assert.ok(taken > 10 * SIZE);
      ring.close();
    } finally {
      Object.assign(door, { rewind, writeAt, splice });
      restore();
    }
  });

  it('gives its memory back when it has been empty for a while, and goes on after that', async function () {
    this.timeout(10_000);
    const { fds, restore } = spy();
    try {
      const ring = new MemoryRing(SIZE);
      writeSync(ends[1], pattern(0, 10_000));
      ring.append(ends[0], 10_000);
      ring.forgetBelow(10_000n);
      const blocks = () => statSync(`/proc/self/fd/${fds[0]}`).blocks;
      assert.ok(blocks() > 0);
      for (let waited = 0; blocks() > 0 && waited < 8_000; waited += 100)
        await new Promise((resolve) => setTimeout(resolve, 100));
      assert.equal(blocks(), 0);
      writeSync(ends[1], pattern(10_000, 500));
      ring.append(ends[0], 500);
      const buffer = Buffer.alloc(500);
      ring.readAt(10_000n, buffer);
      assert.ok(buffer.equals(pattern(10_000, 500)));
      ring.close();
    } finally {
      restore();
    }
  });
});
