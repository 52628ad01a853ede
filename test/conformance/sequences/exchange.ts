// A call sequence of one of Kata's hosts as data: what goes out in which order, and what has to come back when.
import type { Data } from '../case.ts';

export interface Exchange {
  readonly call: string;
  readonly request?: Data;
  /** The deadline in the envelope, nanoseconds; 0 or none is for ever. */
  readonly timeoutNs?: number;
  /** A word for the answer, for the exchanges that wait for it later; without it the answer is waited for at once. */
  readonly later?: string;
  readonly reply?: Data;
  /** Set where the host is answered with a status. */
  readonly code?: number;
}

/** Waits for the answer to what was sent before. */
export interface Arrival {
  readonly arrives: string;
  readonly reply?: Data;
  readonly code?: number;
}

/** What must still be unanswered. */
export interface Unanswered {
  readonly unanswered: readonly string[];
}

export type SequenceStep = Exchange | Arrival | Unanswered;

export interface Sequence {
  readonly name: string;
  /** rust-protobuf writes members of oneofs last. */
  readonly order: 'by-number' | 'oneofs-last';
  readonly steps: readonly SequenceStep[];
}
