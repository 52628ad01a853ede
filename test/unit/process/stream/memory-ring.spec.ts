import assert from 'node:assert/strict';
import { statSync, writeSync } from 'node:fs';
import { Ledger } from '../../../../agent/process/stream/ledger.ts';
import { MemoryRing } from '../../../../agent/process/stream/memory-ring.ts';
import { native } from '../../../../native/index.ts';

const SIZE = 16 * 1024;
const byteAt = (offset: number) => (offset * 167 + (offset >> 8)) & 0xff;
const pattern = (from: number, length: number) => Buffer.from(Uint8Array.from({ length }, (_, at) => byteAt(from + at)));

/** Files as they are at this moment. A position can't be set but by moving bytes. */
function copyOf(file: number, ledger: Ledger): { file: number; ledger: Ledger } {
  const door = native();
  const copy = { file: door.memfdCreate('copy'), ledger: new Ledger() };
  const [out, into] = door.pipe();
  for (let left = Number(door.filePosition(file)); left > 0; ) {
    left -= writeSync(into, Buffer.alloc(Math.min(left, 4096)));
    while (door.isReadable(out)) door.splice(out, copy.file, 4096);
  }
  for (const fd of [out, into]) door.close(fd);
  const page = Buffer.alloc(256);
  door.writeAt(copy.ledger.fd, page.subarray(0, door.readAt(ledger.fd, page, 0n)), 0n);
  return copy;
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

  it('can be told to the byte by an agent that comes after, wherever the last one was killed', () => {
    const door = native();
    const { rewind, writeAt, splice } = door;
    const file = door.memfdCreate('stream');
    const ledger = new Ledger();
    try {
      const ring = new MemoryRing(SIZE, { file, slot: ledger.slot('stdout') });
      let taken = 0;
      let checks = 0;
      /** Takes over copies of the files, so that this ring can go on. */
      const check = () => {
        Object.assign(door, { rewind, writeAt, splice });
        const copy = copyOf(file, ledger);
        const next = new MemoryRing(SIZE, { file: copy.file, slot: copy.ledger.slot('stdout') });
        next.goOn();
        assert.equal(next.end, BigInt(taken));
        next.close();
        copy.ledger.close();
        checks++;
        Object.assign(door, watched);
      };
      // Each of these is a moment at which the agent may be killed: before and after every call into the kernel.
      const around =
        <A extends unknown[], R>(call: (...args: A) => R, count: (result: R) => void = () => {}) =>
        (...args: A): R => {
          check();
          const result = call(...args);
          count(result);
          check();
          return result;
        };
      const watched = {
        rewind: around(rewind),
        writeAt: around(writeAt),
        splice: around(splice, (moved) => {
          taken += Math.max(moved, 0);
        }),
      };
      Object.assign(door, watched);
      for (let step = 0; step < 200; step++) {
        writeSync(ends[1], Buffer.alloc(1 + ((step * 331) % 5000)));
        while (ring.append(ends[0], 4096) > 0);
      }
      assert.ok(taken > 10 * SIZE && checks > 1000);
      ring.close();
    } finally {
      Object.assign(door, { rewind, writeAt, splice });
      ledger.close();
    }
  });

  it('gives its memory back when it has been empty for a while, and goes on after that', async function () {
    this.timeout(10_000);
    const file = native().memfdCreate('stream');
    const ring = new MemoryRing(SIZE, { file });
    writeSync(ends[1], pattern(0, 10_000));
    ring.append(ends[0], 10_000);
    ring.forgetBelow(10_000n);
    const blocks = () => statSync(`/proc/self/fd/${file}`).blocks;
    assert.ok(blocks() > 0);
    for (let waited = 0; blocks() > 0 && waited < 8_000; waited += 100) await new Promise((resolve) => setTimeout(resolve, 100));
    assert.equal(blocks(), 0);
    writeSync(ends[1], pattern(10_000, 500));
    ring.append(ends[0], 500);
    const buffer = Buffer.alloc(500);
    ring.readAt(10_000n, buffer);
    assert.ok(buffer.equals(pattern(10_000, 500)));
    ring.close();
  });
});
