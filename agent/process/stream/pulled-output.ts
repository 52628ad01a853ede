// A stream's output given out piece by piece on request, over answers that may get lost: what an answer carried that never left is given
// again before anything else, and only what has arrived is acknowledged. Kata's reads, of which several may be under way at once.
import type { LogReader, Piece } from './log-reader.ts';

/** [from, to) */
interface Range {
  readonly from: bigint;
  readonly to: bigint;
}

export interface Pulled {
  readonly piece: Piece;
  /** Whether it got through; once. */
  settle(arrived: boolean): void;
}

export class PulledOutput {
  readonly #reader: LogReader;
  readonly #underWay = new Set<Range>();
  /** Lowest first. */
  #lost: Range[] = [];

  constructor(reader: LogReader) {
    this.#reader = reader;
  }

  /** Resolves when there is something to take. @throws the signal's reason; resource_exhausted */
  async ready(signal: AbortSignal): Promise<void> {
    if (this.#lost.length === 0) await this.#reader.readable(signal);
  }

  /** The next piece, of at most `maxBytes`; undefined when somebody else was faster. */
  take(maxBytes: number): Pulled | undefined {
    const piece = this.#takeLost(maxBytes) ?? this.#reader.tryNext(maxBytes);
    if (piece === undefined) return undefined;
    if (piece.kind !== 'data') return { piece, settle: () => {} };
    const range = { from: piece.offset, to: piece.offset + BigInt(piece.data.length) };
    this.#underWay.add(range);
    return { piece, settle: (arrived) => this.#settle(range, arrived) };
  }

  #takeLost(maxBytes: number): Piece | undefined {
    const range = this.#lost.shift();
    if (range === undefined) return undefined;
    const { offset } = this.#reader;
    const length = Math.min(maxBytes, Number(range.to - range.from));
    this.#reader.seek(range.from);
    const piece = this.#reader.tryNext(length);
    this.#reader.seek(offset);
    const rest = range.from + BigInt(length);
    if (rest < range.to) this.#lost.unshift({ from: rest, to: range.to });
    return piece;
  }

  #settle(range: Range, arrived: boolean): void {
    if (!this.#underWay.delete(range)) return;
    if (!arrived) this.#lost = [...this.#lost, range].sort((a, b) => (a.from < b.from ? -1 : 1));
    let safe = this.#reader.offset;
    for (const { from } of [...this.#underWay, ...this.#lost]) if (from < safe) safe = from;
    this.#reader.ack(safe);
  }
}
