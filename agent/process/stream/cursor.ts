// Where one reader stands in a log: pure. It says what comes next, and what the reader may claim to have.
import { AgentError } from '../../errors.ts';
import type { EndReason } from './log-reader.ts';

/** What a cursor sees of the log it is in. */
export interface LogView {
  readonly start: bigint;
  readonly end: bigint;
  /** Set when no more will come. */
  readonly ending: EndReason | undefined;
}

export type Step =
  | { readonly kind: 'data'; readonly offset: bigint; readonly length: number }
  | { readonly kind: 'gap'; readonly from: bigint; readonly to: bigint }
  | { readonly kind: 'end'; readonly offset: bigint; readonly reason: EndReason };

export class Cursor {
  #offset: bigint;
  #given: bigint;
  #acked: bigint;

  constructor(offset: bigint) {
    this.#offset = offset;
    this.#given = offset;
    this.#acked = offset;
  }

  get offset(): bigint {
    return this.#offset;
  }

  get acked(): bigint {
    return this.#acked;
  }

  /** What comes next, which counts as given; undefined when that has to be waited for. */
  step(log: LogView, maxBytes: number): Step | undefined {
    const from = this.#offset;
    if (from < log.start) {
      this.#advance(log.start);
      return { kind: 'gap', from, to: log.start };
    }
    if (from < log.end) {
      const there = log.end - from;
      const length = there < BigInt(maxBytes) ? Number(there) : maxBytes;
      this.#advance(from + BigInt(length));
      return { kind: 'data', offset: from, length };
    }
    return log.ending === undefined ? undefined : { kind: 'end', offset: from, reason: log.ending };
  }

  /** Whether {@link step} would give something. */
  ready(log: LogView): boolean {
    return this.#offset < log.end || log.ending !== undefined;
  }

  /** Goes to any place between what is acknowledged and what was given. @throws out_of_range */
  seek(offset: bigint): void {
    if (offset < this.#acked || offset > this.#given) throw outside(offset, this.#acked, this.#given);
    this.#offset = offset;
  }

  /** @throws out_of_range beyond what was given */
  ack(offset: bigint): void {
    if (offset > this.#given) throw outside(offset, this.#acked, this.#given);
    if (offset > this.#acked) this.#acked = offset;
  }

  #advance(offset: bigint): void {
    this.#offset = offset;
    if (offset > this.#given) this.#given = offset;
  }
}

function outside(offset: bigint, low: bigint, high: bigint): AgentError {
  return new AgentError('out_of_range', `offset ${offset} is not from ${low} to ${high}`, {
    fields: { field: 'offset', offset, low, high },
  });
}
