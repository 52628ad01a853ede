// A ring of bytes in a memory file, into which pipes are spliced. Its pages are used again and again: making them anew for each byte that
// passes costs more than copying it.
//
// The kernel keeps the position in the file, and the ledger the lap: at every instruction the end of the stream is lap * size + position,
// exact, also after the agent was killed. Between two laps both change, so the new lap is first noted as one that is to begin at 0.
import { native } from '../../../native/index.ts';
import type { Slot } from './ledger.ts';

const PAGE_BYTES = 4096;
/** Its memory is given back when it has been empty and untouched for this long. */
const IDLE_MS = 2_000;
/** Where the lap is noted: twice its number, and 1 more while the position is still to be set to 0. */
const LAP_NOTE = 0;

export interface RingParts {
  /** Its file, owned from here on: a new one, or an earlier agent's as that left it. Made when first needed unless given. */
  readonly file?: number | undefined;
  /** For the next agent; nothing is noted without. */
  readonly slot?: Slot | undefined;
}

export class MemoryRing {
  readonly size: number;
  readonly #slot: Slot | undefined;
  #file: number | undefined;
  #lap = 0n;
  #position = 0;
  #start = 0n;
  #idle: NodeJS.Timeout | undefined;

  /** @param limit bytes that may be held at a time */
  constructor(limit: number, { file, slot }: RingParts = {}) {
    this.size = Math.ceil(limit / PAGE_BYTES) * PAGE_BYTES;
    this.#file = file;
    this.#slot = slot;
  }

  /** Goes on where an earlier agent was killed. */
  goOn(): void {
    const [note = 0n] = this.#slot?.read(LAP_NOTE, 1) ?? [];
    this.#lap = note / 2n;
    if (note % 2n === 1n) this.#beginLap();
    else this.#position = Number(native().filePosition(this.#open()));
  }

  /** Of the byte that comes next. */
  get end(): bigint {
    return this.#lap * BigInt(this.size) + BigInt(this.#position);
  }

  /** Splices up to `maxBytes` from a pipe to the end; as the addon's `splice`. Bytes that lie `size` below are overwritten. */
  append(from: number, maxBytes: number): number {
    if (this.#position === this.size) this.#nextLap();
    const moved = native().splice(from, this.#open(), Math.min(maxBytes, this.size - this.#position));
    if (moved > 0) this.#position += moved;
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
    if (offset === this.end) this.#idle ??= this.#whenIdle(this.end);
  }

  close(): void {
    clearTimeout(this.#idle);
    if (this.#file !== undefined) native().close(this.#file);
    this.#file = undefined;
  }

  #open(): number {
    this.#file ??= native().memfdCreate('stream');
    return this.#file;
  }

  #nextLap(): void {
    this.#lap++;
    this.#slot?.write(LAP_NOTE, [2n * this.#lap + 1n]);
    this.#beginLap();
  }

  #beginLap(): void {
    native().rewind(this.#open());
    this.#slot?.write(LAP_NOTE, [2n * this.#lap]);
    this.#position = 0;
  }

  #whenIdle(end: bigint): NodeJS.Timeout {
    return setTimeout(() => {
      this.#idle = undefined;
      if (this.#file === undefined || this.#start !== this.end) return;
      if (this.end === end) native().punchHole(this.#file, 0n, BigInt(this.size));
      else this.#idle = this.#whenIdle(this.end);
    }, IDLE_MS).unref();
  }
}
