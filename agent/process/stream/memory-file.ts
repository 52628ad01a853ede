// A file in memory for a process's input: made when first needed, its memory given back piece by piece.
import { native } from '../../../native/index.ts';

/** Memory is given back in steps of this; man 2 fallocate works on whole pages, and each call costs. */
const FORGET_STEP_BYTES = 128n * 1024n;
const PAGE_MASK = ~4095n;

/** A sparse file that only grows: an offset in it is an offset of its stream. */
export class MemoryFile {
  #fd: number | undefined;
  #forgotten = 0n;

  /** Owns the file, where one is given: a new one, or an earlier agent's. */
  constructor(fd?: number) {
    this.#fd = fd;
  }

  /** Made at the first asking. */
  get fd(): number {
    this.#fd ??= native().memfdCreate('stdin');
    return this.#fd;
  }

  /** Bytes below `offset` are not read again. */
  forgetBelow(offset: bigint): void {
    if (this.#fd === undefined || offset - this.#forgotten < FORGET_STEP_BYTES) return;
    const to = offset & PAGE_MASK;
    native().punchHole(this.#fd, this.#forgotten, to);
    this.#forgotten = to;
  }

  close(): void {
    if (this.#fd !== undefined) native().close(this.#fd);
    this.#fd = undefined;
  }
}
