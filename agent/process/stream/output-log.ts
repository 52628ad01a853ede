// One output stream of a process: a bounded log addressed by byte offset, with any number of independent readers.
// INVARIANTS: a byte is taken from the process only when there is room for it (byte-log.ts, budget.ts), else the process waits; the source
// is never closed before its last writer has, or `close`: a writer would get SIGPIPE.
import { AgentError } from '../../errors.ts';
import { type Budget, type Holder, STREAM_LIMIT_BYTES } from './budget.ts';
import { ByteLog, type DeliveryMode, type Retention } from './byte-log.ts';
import type { LogView } from './cursor.ts';
import type { EndReason, LogReader, ReaderOptions, ReaderUse } from './log-reader.ts';
import { type Clock, type FoundLog, type LogStore, type Notice, realClock } from './log-store.ts';
import { type LogSide, OutputReader } from './output-reader.ts';

/** Moved at once; a pipe holds as much. */
const CHUNK_BYTES = 64 * 1024;
/** Taken before other events of the loop get their chance. */
const READ_TURN_BYTES = 256 * 1024;
export const MAX_READERS = 64;
/** After a failure to take bytes, which the kernel gives for want of memory. */
const RETRY_MS = 100;

export interface OutputLogOptions {
  readonly store: LogStore;
  readonly budget: Budget;
  readonly retention?: Partial<Retention>;
  readonly drainMs?: number | undefined;
  readonly clock?: Clock;
  /** Who has the writing end open. */
  readonly holders?: () => Promise<number[]>;
}

export class OutputLog implements Holder, LogSide {
  readonly #store: LogStore;
  readonly #budget: Budget;
  readonly #clock: Clock;
  readonly #holders: () => Promise<number[]>;
  readonly #bytes: ByteLog;
  readonly #readers = new Set<OutputReader>();
  readonly #source: Notice;
  #primary: OutputReader | undefined;
  /** Everything below it has been given back. */
  #released = 0n;
  #heldBack = false;
  #ending: EndReason | undefined;
  #closed = false;
  #drainMs: number | undefined;
  #exited = false;
  #retrying: { cancel(): void } | undefined;
  #timer: { cancel(): void } | undefined;
  #whenConsumed: PromiseWithResolvers<void> | undefined;

  constructor({ store, budget, retention = {}, drainMs, clock = realClock, holders = async () => [] }: OutputLogOptions) {
    this.#store = store;
    this.#budget = budget;
    this.#clock = clock;
    this.#holders = holders;
    this.#drainMs = drainMs;
    const { found } = store;
    this.#bytes = new ByteLog({ mode: 'lossless', limit: STREAM_LIMIT_BYTES, history: 0, ...retention }, found);
    budget.join(this);
    this.#source = store.watch(() => this.#fill());
    if (found !== undefined) this.#adopt(found);
  }

  get mode(): DeliveryMode {
    return this.#bytes.retention.mode;
  }

  /** Of the oldest byte that is held. */
  get start(): bigint {
    return this.#bytes.start;
  }

  /** Of the byte that the process will write next. */
  get end(): bigint {
    return this.#bytes.end;
  }

  /** There will be no more, as far as readers are told. */
  get ended(): boolean {
    return this.#ending !== undefined;
  }

  get ending(): EndReason | undefined {
    return this.#ending;
  }

  /** Bytes that went without having been acknowledged by a primary reader: evicted or discarded. */
  get dropped(): bigint {
    return this.#bytes.dropped;
  }

  /** The process is not being read from, for want of room. */
  get heldBack(): boolean {
    return this.#heldBack;
  }

  /** Up to where the primary reader has acknowledged. */
  get acknowledged(): bigint {
    return this.#bytes.acked;
  }

  get readers(): number {
    return this.#readers.size;
  }

  get readerUses(): ReaderUse[] {
    return [...this.#readers].map(({ use }) => use);
  }

  /** Resolves when {@link consumed} has become true. */
  get whenConsumed(): Promise<void> {
    this.#whenConsumed ??= Promise.withResolvers<void>();
    this.#tellConsumed();
    return this.#whenConsumed.promise;
  }

  /** The last writer has closed, and the primary reader has acknowledged everything. */
  get consumed(): boolean {
    return this.#closed || (this.#ending === 'closed' && this.#bytes.acked === this.#bytes.end);
  }

  /** @throws out_of_range for an offset beyond `end`; resource_exhausted when there are too many readers */
  reader({ from = 'start', primary = false, owner }: ReaderOptions = {}): LogReader {
    if (this.#readers.size >= MAX_READERS) {
      throw new AgentError('resource_exhausted', `${MAX_READERS} readers are on this stream already`, {
        fields: { limit: 'readers-per-stream' },
      });
    }
    const reader = new OutputReader(this, this.#place(from), owner);
    this.#readers.add(reader);
    if (primary) {
      this.#primary = reader;
      this.#bytes.claim(reader.offset > this.start ? reader.offset : this.start);
      this.#settle();
    }
    return reader;
  }

  /**
   * How long after the process has ended, and after its last output, the end is told though something it left behind holds the stream.
   * undefined waits for the last writer.
   */
  setDrain(ms: number | undefined): void {
    this.#drainMs = ms;
    if (this.#exited) this.#armDrain();
  }

  /** Pids, as the guest's root namespace numbers them, that have the writing end open. Bounded; empty when nobody has. */
  heldBy(): Promise<number[]> {
    return this.#ending === 'closed' ? Promise.resolve([]) : this.#holders();
  }

  /** The process is gone: from here on the drain limit counts. */
  processExited(): void {
    if (this.#exited) return;
    this.#exited = true;
    this.#armDrain();
  }

  /** Gives up the stream and what is held; readers are told the end. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#finish('closed');
    this.#budget.give(this.#bytes.held);
    this.#budget.leave(this);
    this.#store.close();
  }

  // --- as its readers see it

  get view(): LogView {
    return { start: this.start, end: this.end, ending: this.#ending };
  }

  get gone(): boolean {
    return this.#closed;
  }

  readAt(offset: bigint, buffer: Buffer): void {
    this.#store.readAt(offset, buffer);
  }

  isPrimary(reader: OutputReader): boolean {
    return this.#primary === reader;
  }

  acked(reader: OutputReader, offset: bigint): void {
    if (this.#primary !== reader || this.#closed) return;
    this.#bytes.ack(offset);
    this.#settle();
    this.#tellConsumed();
  }

  left(reader: OutputReader): void {
    this.#readers.delete(reader);
    if (this.#primary === reader) this.#primary = undefined;
  }

  // --- as the budget sees it

  get held(): number {
    return this.#bytes.held;
  }

  evict(bytes: number): void {
    this.#bytes.evict(bytes);
    this.#settle();
  }

  onRoom(): void {
    this.#goOn();
  }

  #place(from: bigint | 'start' | 'end' | 'ack'): bigint {
    if (from === 'start') return this.start;
    if (from === 'end') return this.end;
    if (from === 'ack') return this.#bytes.acked;
    if (from >= 0n && from <= this.end) return from;
    throw new AgentError('out_of_range', `offset ${from} is beyond the stream's end at ${this.end}`, {
      fields: { field: 'from', offset: from, end: this.end },
    });
  }

  /** Goes on with an earlier agent's log. */
  #adopt({ ending }: FoundLog): void {
    this.#released = this.start;
    this.#ending = ending;
    this.#budget.take(this.#bytes.held);
    this.#store.forgetBelow(this.start);
    this.#settle();
    if (ending === 'closed') this.#source.close();
    // Of bytes between the source and the log there may be no notice.
    else this.#fill();
  }

  #fill(): void {
    for (let left = READ_TURN_BYTES; left > 0; ) {
      // Others give something up only for bytes that are known to be there.
      const known = left === READ_TURN_BYTES;
      const room = this.#askFor(Math.min(CHUNK_BYTES, this.#bytes.room, left), known);
      if (room <= 0 && !known) return;
      const moved = room > 0 ? this.#take(room) : 'full';
      if (moved === 'full') this.#holdBack();
      if (moved === 'end') this.#sourceEnded();
      if (typeof moved !== 'number') return;
      left -= moved;
      this.#budget.take(moved);
      this.#bytes.append(moved);
      this.#settle();
      this.#notify();
      if (moved < room) return;
    }
  }

  #askFor(wanted: number, evict: boolean): number {
    if (wanted <= 0 || this.mode === 'discard') return wanted;
    return this.#budget.ask(this, wanted, evict);
  }

  #take(room: number): number | 'empty' | 'end' {
    try {
      return this.#store.append(room);
    } catch {
      // The bytes are still with the source; memory is short, and asking at once again would only spin.
      this.#holdBack();
      this.#retrying ??= this.#clock.setTimeout(() => this.#retry(), RETRY_MS);
      return 'empty';
    }
  }

  /** Some of the bytes may be between the source and the log. */
  #retry(): void {
    this.#retrying = undefined;
    this.#goOn();
    if (!this.#heldBack && this.#ending !== 'closed') this.#fill();
  }

  /** Before anything is done that the next agent would not understand otherwise. What is given up with `close` is not what was read. */
  #record(): void {
    if (this.#closed) return;
    const { start, acked, dropped } = this.#bytes;
    this.#store.record?.({ start, acked, dropped, ending: this.#ending });
  }

  #holdBack(): void {
    if (this.#heldBack) return;
    this.#heldBack = true;
    this.#source.pause();
  }

  #goOn(): void {
    if (!this.#heldBack || this.#closed || this.#ending === 'closed') return;
    this.#heldBack = false;
    this.#source.resume();
  }

  /** What was let go of goes back to the budget and the store; a process that waited goes on when it is worth while. */
  #settle(): void {
    this.#record();
    const freed = this.start - this.#released;
    if (freed > 0n) {
      this.#released = this.start;
      this.#store.forgetBelow(this.start);
      this.#budget.give(Number(freed));
    }
    if (this.#ending === 'closed' && this.start === this.end) this.#store.close();
    else if (this.#bytes.room >= Math.min(CHUNK_BYTES, this.#bytes.retention.limit / 2)) this.#goOn();
  }

  #sourceEnded(): void {
    this.#finish('closed');
    this.#store.closeSource();
    this.#settle();
  }

  #armDrain(): void {
    this.#timer?.cancel();
    if (this.#ending !== undefined || this.#drainMs === undefined) return;
    const before = this.end;
    this.#timer = this.#clock.setTimeout(() => {
      // After a blocked loop there may be bytes that nobody has looked for yet.
      if (!this.#heldBack) this.#fill();
      if (this.#ending !== undefined) return;
      if (this.#heldBack || this.end !== before) this.#armDrain();
      else this.#finish('drained');
    }, this.#drainMs);
  }

  #finish(reason: EndReason): void {
    if (this.#ending === 'closed') return;
    this.#ending = reason;
    this.#record();
    this.#timer?.cancel();
    if (reason === 'closed') this.#source.close();
    this.#notify();
    this.#tellConsumed();
  }

  #tellConsumed(): void {
    if (this.consumed) this.#whenConsumed?.resolve();
  }

  #notify(): void {
    for (const reader of this.#readers) reader.notify();
  }
}
