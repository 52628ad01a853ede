// One output stream as one attached client reads it: a cursor, credit, and turns.
import { readStatuses } from '../container/process-status.ts';
import type { LogReader, ReaderOptions, ReaderOwner } from '../process/stream/log-reader.ts';
import type { OutputLog } from '../process/stream/output-log.ts';
import type { AttachHost, StreamName } from './attach-event.ts';

/** The most in one message: what a pipe holds, so that larger ones would seldom fill, and would hold up what comes behind them. */
const CHUNK_BYTES = 64 * 1024;
/** For what a protocol puts in front of the bytes, so that they need not be copied behind it. */
const HEADROOM_BYTES = 64;
/** Credit beyond this is counted as this. */
const MAX_CREDIT = 64 * 1024 * 1024;
/** Whoever has the output open once the process is gone may be on its way out as well. */
const HELD_AFTER_MS = 20;
/** For a primary reader to acknowledge what it has been given, once it has been given all. */
const LAST_ACK_MS = 10_000;

export interface OutputWanted {
  readonly from: NonNullable<ReaderOptions['from']>;
  readonly primary: boolean;
  readonly credit: number;
}

export class AttachedOutput implements ReaderOwner {
  readonly #stream: StreamName;
  readonly #log: OutputLog;
  readonly #reader: LogReader;
  readonly #host: AttachHost;
  readonly #drainMs: number | undefined;
  #credit: number;
  /** Since when the end may be told though somebody holds the stream. */
  #drained = false;
  #over = false;
  #finished = false;
  /** Something has happened since the loop last looked. */
  #changed = false;
  #wake: (() => void) | undefined;
  readonly #timers = new Set<NodeJS.Timeout>();

  /** @throws out_of_range; resource_exhausted */
  constructor(stream: StreamName, log: OutputLog, wanted: OutputWanted, drainMs: number | undefined, host: AttachHost) {
    this.#stream = stream;
    this.#log = log;
    this.#host = host;
    this.#drainMs = drainMs;
    this.#credit = Math.min(wanted.credit, MAX_CREDIT);
    this.#reader = log.reader({ from: wanted.from, primary: wanted.primary, owner: this });
    this.#reader.onReadable(() => this.#notify());
  }

  get clientId(): string {
    return this.#host.clientId;
  }

  get stalled(): boolean {
    return this.#credit === 0;
  }

  credit(bytes: number): void {
    this.#credit = Math.min(this.#credit + bytes, MAX_CREDIT);
    this.#notify();
  }

  /** A follower's acknowledgement counts for nothing, and is no mistake: it may have been the primary until a moment ago. */
  acknowledge(offset: bigint): void {
    if (this.#over) return;
    this.#reader.ack(offset);
    this.#notify();
  }

  /** Nothing more will come from the client: no acknowledgement is waited for. */
  finish(): void {
    this.#finished = true;
    this.#notify();
  }

  /** The process is gone: the drain limit counts from now on, and who still holds the stream is told. */
  processEnded(): void {
    this.#after(HELD_AFTER_MS, () => void this.#tellHolders());
    if (this.#drainMs === undefined) return;
    this.#after(this.#drainMs, () => {
      this.#drained = true;
      this.#notify();
    });
  }

  leave(): void {
    this.#over = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#reader.close();
    this.#notify();
  }

  /** Resolves at the end of output. @throws the signal's reason */
  async run(): Promise<void> {
    const { signal } = this.#host;
    const stop = () => this.#notify();
    signal.addEventListener('abort', stop, { once: true });
    try {
      while (!this.#over) {
        signal.throwIfAborted();
        this.#changed = false;
        const piece = await this.#next();
        if (piece === 'wait') await this.#notified();
        else if (piece !== 'sent') return await this.#tellEnd(piece);
      }
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  /** Sends what can be sent now. The end costs no credit. */
  async #next(): Promise<'wait' | 'sent' | { offset: bigint; closed: boolean }> {
    const { view } = this.#log;
    const { offset } = this.#reader;
    // A gap costs none either, but a reader that has stopped would be told of one after the other.
    if (offset < view.end) return this.#credit > 0 ? await this.#sendPiece() : 'wait';
    if (view.ending === 'closed' || this.#log.gone) return { offset, closed: true };
    // A limit that others have set for themselves is not this client's.
    return this.#drained ? { offset, closed: false } : 'wait';
  }

  async #sendPiece(): Promise<'sent'> {
    const { turns, clientId, signal } = this.#host;
    const turn = await turns.turn(clientId, this, Math.min(this.#credit, CHUNK_BYTES), signal);
    const piece = this.#over ? undefined : this.#reader.tryNext(Math.min(turn.bytes, this.#credit), HEADROOM_BYTES);
    if (piece?.kind === 'data') {
      this.#credit -= piece.data.length;
      turn.take(piece.data.length);
      this.#host.send({ ...piece, stream: this.#stream }).then(turn.done, turn.done);
    } else {
      turn.take(0);
      if (piece?.kind === 'gap') this.#host.send({ ...piece, stream: this.#stream }).catch(() => {});
    }
    return 'sent';
  }

  async #tellEnd({ offset, closed }: { offset: bigint; closed: boolean }): Promise<void> {
    const holders = closed ? [] : await readStatuses(await this.#log.heldBy());
    await this.#host.send({ kind: 'end', stream: this.#stream, offset, closed, holders });
    if (this.#reader.primary) await this.#acknowledged(offset);
    this.leave();
  }

  /** The last acknowledgement is on its way, and counts: for what is forgotten when it has been taken, and for who reads next. */
  async #acknowledged(offset: bigint): Promise<void> {
    this.#after(LAST_ACK_MS, () => this.leave());
    while (!this.#over && !this.#finished && this.#log.acknowledged < offset) {
      this.#changed = false;
      await this.#notified();
    }
  }

  async #tellHolders(): Promise<void> {
    if (this.#over || this.#log.view.ending === 'closed') return;
    const holders = await readStatuses(await this.#log.heldBy());
    if (holders.length === 0 || this.#over) return;
    await this.#host.send({ kind: 'held', stream: this.#stream, holders }).catch(() => {});
  }

  #after(ms: number, run: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      if (!this.#over) run();
    }, ms);
    this.#timers.add(timer);
  }

  #notified(): Promise<void> {
    if (this.#changed) return Promise.resolve();
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #notify(): void {
    this.#changed = true;
    this.#wake?.();
    this.#wake = undefined;
  }
}
