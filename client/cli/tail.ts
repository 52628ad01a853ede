// The last lines of a log whose end is known only when it has come. Bounded by what a guest keeps of a stream.
import type { OutputPiece } from '../api/output.ts';

type Data = Extract<OutputPiece, { kind: 'data' }>;
const NEWLINE = 0x0a;

export class LastLines {
  readonly #lines: number;
  #data: Buffer = Buffer.alloc(0);
  /** Of the first byte that is held. */
  #offset = 0n;

  constructor(lines: number) {
    this.#lines = lines;
  }

  push({ offset, data }: Data): void {
    if (this.#data.length === 0) this.#offset = offset;
    this.#data = Buffer.concat([this.#data, data]);
    this.#trim();
  }

  /** What is left of all that was pushed: none, or one. */
  pieces(): Data[] {
    return this.#data.length === 0 ? [] : [{ kind: 'data', offset: this.#offset, data: this.#data }];
  }

  /** A last line without its end counts as one. */
  #trim(): void {
    const data = this.#data;
    let from = data.length;
    if (data.at(-1) === NEWLINE) from--;
    for (let lines = 0; lines < this.#lines; lines++) {
      const newline = from === 0 ? -1 : data.lastIndexOf(NEWLINE, from - 1);
      if (newline < 0) return;
      from = newline;
    }
    const begin = this.#lines === 0 ? data.length : from + 1;
    this.#offset += BigInt(begin);
    this.#data = data.subarray(begin);
  }
}
