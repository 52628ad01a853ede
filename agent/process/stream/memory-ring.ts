// A ring of bytes in a memory file, into which pipes are spliced. Its pages are used again and again: making them anew for each byte that
// passes costs more than copying it.
//
// The file is open twice, and a lap goes by the position of one of the two, in turns; which lap it is stands in the file, behind the ring. At
// the end of a lap the other position is set to 0 first and the lap written after, so at every instruction the end of the stream is
// lap * size + position of the lap's own description: exact, also after the agent was killed.
import { native } from '../../../native/index.ts';

const PAGE_BYTES = 4096;
/** Its memory is given back when it has been empty and untouched for this long. */
const IDLE_MS = 2_000;

/** One that was made for a stream which turned out to have nothing in it. */
let spare: number | undefined;

export class MemoryRing {
  readonly size: number;
  #even: number | undefined;
  #odd: number | undefined;
  #lap = 0n;
  #position = 0;
  #start = 0n;
  #idle: NodeJS.Timeout | undefined;
  #end = 0n;

  /** @param limit bytes that may be held at a time */
  constructor(limit: number) {
    this.size = Math.ceil(limit / PAGE_BYTES) * PAGE_BYTES;
  }

  /** Splices up to `maxBytes` from a pipe to the end; as the addon's `splice`. Bytes that lie `size` below are overwritten. */
  append(from: number, maxBytes: number): number {
    const file = this.#open();
    if (this.#position === this.size) this.#nextLap();
    const target = this.#lap % 2n === 0n ? file : this.#odd!;
    const moved = native().splice(from, target, Math.min(maxBytes, this.size - this.#position));
    if (moved > 0) {
      this.#position += moved;
      this.#end += BigInt(moved);
    } else if (this.#end === 0n) this.#handBack();
    return moved;
  }

  /** Fills the buffer with what lies at `offset`, at most `size` below the end. */
  readAt(offset: bigint, buffer: Buffer): void {
    for (let done = 0; done < buffer.length; ) {
      const at = Number((offset + BigInt(done)) % BigInt(this.size));
      const part = buffer.subarray(done, done + Math.min(buffer.length - done, this.size - at));
      const got = native().readAt(this.#open(), part, BigInt(at));
      if (got === 0) throw new RangeError(`the log ends before ${offset + BigInt(buffer.length)}`);
      done += got;
    }
  }

  forgetBelow(offset: bigint): void {
    this.#start = offset;
    if (offset === this.#end) this.#idle ??= this.#whenIdle(this.#end);
  }

  close(): void {
    clearTimeout(this.#idle);
    for (const fd of [this.#even, this.#odd]) if (fd !== undefined) native().close(fd);
    this.#even = undefined;
    this.#odd = undefined;
  }

  #open(): number {
    if (this.#even === undefined) {
      this.#even = spare ?? native().memfdCreate('stream');
      spare = undefined;
    }
    return this.#even;
  }

  #handBack(): void {
    if (spare !== undefined || this.#even === undefined) return;
    spare = this.#even;
    this.#even = undefined;
  }

  #nextLap(): void {
    const even = this.#open();
    this.#odd ??= native().reopen(even);
    native().rewind(this.#lap % 2n === 0n ? this.#odd : even);
    this.#lap++;
    const written = Buffer.alloc(8);
    written.writeBigUInt64LE(this.#lap);
    native().writeAt(even, written, BigInt(this.size));
    this.#position = 0;
  }

  #whenIdle(end: bigint): NodeJS.Timeout {
    return setTimeout(() => {
      this.#idle = undefined;
      if (this.#even === undefined || this.#start !== this.#end) return;
      if (this.#end === end) native().punchHole(this.#even, 0n, BigInt(this.size));
      else this.#idle = this.#whenIdle(this.#end);
    }, IDLE_MS).unref();
  }
}

/** Where a ring of this size ended, by its two descriptions: for an agent that takes it over. */
export function endOfRing(even: number, odd: number | undefined, size: number): bigint {
  const written = Buffer.alloc(8);
  const lap = native().readAt(even, written, BigInt(size)) === 8 ? written.readBigUInt64LE() : 0n;
  return lap * BigInt(size) + native().filePosition(lap % 2n === 0n ? even : odd!);
}
