// One reader of an output log: a cursor that can wait.
import { AgentError } from '../../errors.ts';
import { Cursor, type LogView } from './cursor.ts';
import type { LogReader, Piece, ReaderOwner, ReaderUse } from './log-reader.ts';

/** Of one reader: calls of several clients may wait on it. */
const MAX_WAITING = 64;

/** What a reader needs of its log. */
export interface LogSide {
  readonly view: LogView;
  /** Closed: nothing can be read any more. */
  readonly gone: boolean;
  readAt(offset: bigint, buffer: Buffer): void;
  isPrimary(reader: OutputReader): boolean;
  acked(reader: OutputReader, offset: bigint): void;
  left(reader: OutputReader): void;
}

export class OutputReader implements LogReader {
  readonly #log: LogSide;
  readonly #cursor: Cursor;
  readonly #owner: ReaderOwner | undefined;
  readonly #waiting = new Set<() => void>();
  #listener: (() => void) | undefined;
  #closed = false;

  constructor(log: LogSide, offset: bigint, owner?: ReaderOwner) {
    this.#log = log;
    this.#owner = owner;
    this.#cursor = new Cursor(offset);
  }

  get offset(): bigint {
    return this.#cursor.offset;
  }

  get primary(): boolean {
    return this.#log.isPrimary(this);
  }

  get use(): ReaderUse {
    const { end, ending } = this.#log.view;
    const behind = end > this.offset ? end - this.offset : 0n;
    const waitsFor =
      behind === 0n ? (ending === 'closed' ? 'nobody' : 'process') : this.#owner?.stalled === false ? 'turn' : 'client';
    return { clientId: this.#owner?.clientId ?? '', primary: this.primary, offset: this.offset, behind, waitsFor };
  }

  async next(maxBytes: number, signal?: AbortSignal): Promise<Piece> {
    for (;;) {
      const piece = this.tryNext(maxBytes);
      if (piece !== undefined) return piece;
      await this.readable(signal);
    }
  }

  readable(signal?: AbortSignal): Promise<void> {
    if (this.#closed) return Promise.reject(readerClosed());
    if (this.#log.gone || this.#cursor.ready(this.#log.view)) return Promise.resolve();
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#waiting.size >= MAX_WAITING) {
      return Promise.reject(
        new AgentError('resource_exhausted', `more than ${MAX_WAITING} reads wait on this stream`, {
          fields: { limit: 'reads-per-stream' },
        }),
      );
    }
    return new Promise((resolve, reject) => {
      const done = () => {
        signal?.removeEventListener('abort', onAbort);
        if (this.#closed) reject(readerClosed());
        else resolve();
      };
      const onAbort = () => {
        this.#waiting.delete(done);
        reject(signal?.reason);
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiting.add(done);
    });
  }

  tryNext(maxBytes: number, headroom = 0): Piece | undefined {
    if (this.#closed) throw readerClosed();
    if (this.#log.gone) return { kind: 'end', offset: this.offset, reason: 'closed' };
    const step = this.#cursor.step(this.#log.view, maxBytes);
    if (step?.kind !== 'data') return step;
    const data = Buffer.allocUnsafe(headroom + step.length).subarray(headroom);
    this.#log.readAt(step.offset, data);
    return { kind: 'data', offset: step.offset, data, headroom };
  }

  onReadable(listener: () => void): void {
    this.#listener = listener;
  }

  seek(offset: bigint): void {
    this.#cursor.seek(offset);
  }

  ack(offset: bigint): void {
    this.#cursor.ack(offset);
    this.#log.acked(this, this.#cursor.acked);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#log.left(this);
    this.#wake();
  }

  /** The log has changed. */
  notify(): void {
    if (!this.#log.gone && !this.#cursor.ready(this.#log.view)) return;
    this.#wake();
    this.#listener?.();
  }

  #wake(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const done of waiting) done();
  }
}

function readerClosed(): AgentError {
  return new AgentError('failed_precondition', 'this reader has been closed');
}
