// One output stream of a process: a bounded log addressed by byte offset, with any number of independent readers.
import type { LogReader, ReaderOptions } from './log-reader.ts';

/** `lossless`: the producer is held back while the primary reader is behind; `latest`: the oldest bytes go, counted; `discard`: nothing is kept, counted. */
export type DeliveryMode = 'lossless' | 'latest' | 'discard';

export interface OutputLog {
  readonly mode: DeliveryMode;
  /** Of the oldest byte that is held. */
  readonly start: bigint;
  /** Of the byte that the process will write next. */
  readonly end: bigint;
  /** There will be no more, as far as readers are told: the last writer closed, or the drain limit ran out (`drained`). */
  readonly ended: boolean;
  /** Bytes that went without having been acknowledged by a primary reader: evicted or discarded. */
  readonly dropped: bigint;
  /** The process is not being read from, because the log is full. */
  readonly heldBack: boolean;
  /** @throws out_of_range for an offset beyond `end`; resource_exhausted when there are too many readers */
  reader(options?: ReaderOptions): LogReader;
  /**
   * How long after the process has ended, and after its last output, the end is told though something it left behind holds the stream.
   * undefined waits for the last writer.
   */
  setDrain(ms: number | undefined): void;
  /** Pids, as the guest's root namespace numbers them, that have the writing end open. Bounded; empty when nobody has. */
  heldBy(): Promise<number[]>;
}
