// Sends spans to the host, in the order of their ends, over a connection that is made again when it breaks. Nothing waits for it: spans
// gather in a bounded queue, what finds it full is dropped, and the log tells how many were.
import type { Socket } from 'node:net';
import type { Logger } from '../log.ts';
import { encodeSpan, type Span } from './span.ts';

/** Spans that wait; OpenTelemetry's own default (OTEL_BSP_MAX_QUEUE_SIZE). */
export const MAX_QUEUED_SPANS = 2_048;
/** Spans of one write. */
const BATCH_SPANS = 64;
/** How long the first span of a batch waits for others. */
const GATHER_MS = 200;
const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 30_000;

export interface SpanExporterOptions {
  /** A new connection to the forwarder. */
  readonly connect: () => Promise<Socket>;
  readonly log: Logger;
  /** Default 1 s; it doubles up to 30 s. */
  readonly firstRetryMs?: number;
}

export class SpanExporter {
  readonly #options: SpanExporterOptions;
  readonly #queue: Span[] = [];
  #socket: Socket | undefined;
  #timer: NodeJS.Timeout | undefined;
  #sending: Promise<void> | undefined;
  #retryMs: number;
  #dropped = 0;
  #toldDropped = 0;
  #closed = false;

  constructor(options: SpanExporterOptions) {
    this.#options = options;
    this.#retryMs = options.firstRetryMs ?? FIRST_RETRY_MS;
  }

  /** Spans dropped since the start. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Queues a span; never blocks, never throws. */
  export(span: Span): void {
    if (this.#closed || this.#queue.length >= MAX_QUEUED_SPANS) {
      this.#dropped++;
      return;
    }
    this.#queue.push(span);
    this.#sendIn(GATHER_MS);
  }

  /** Sends what waits, for at most `timeoutMs`, and hangs up. */
  async close(timeoutMs: number): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    const timer = setTimeout(() => this.#socket?.destroy(), timeoutMs);
    this.#sending ??= this.#send();
    await Promise.race([this.#sending, new Promise((resolve) => setTimeout(resolve, timeoutMs).unref())]);
    clearTimeout(timer);
    this.#socket?.destroySoon();
    this.#dropped += this.#queue.length;
    this.#queue.length = 0;
    this.#tellDropped();
  }

  #sendIn(ms: number): void {
    if (this.#sending || this.#timer || this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#sending = this.#send();
    }, ms).unref();
  }

  /** Empties the queue, or leaves the rest for later. Never rejects. */
  async #send(): Promise<void> {
    let waitMs = GATHER_MS;
    try {
      while (this.#queue.length > 0) {
        const batch = this.#queue.slice(0, BATCH_SPANS);
        // Of a batch that a lost connection cut off everything is sent again: spans have ids, so a collector can tell.
        await write(await this.#connected(), Buffer.concat(batch.map(encodeSpan)));
        this.#queue.splice(0, batch.length);
        this.#retryMs = this.#options.firstRetryMs ?? FIRST_RETRY_MS;
      }
      this.#tellDropped();
    } catch (error) {
      waitMs = this.#retryMs;
      this.#retryMs = Math.min(2 * this.#retryMs, LAST_RETRY_MS);
      this.#options.log.debug('trace forwarder not reached', { error, retry_ms: waitMs });
      this.#tellDropped();
    }
    this.#sending = undefined;
    if (this.#queue.length > 0) this.#sendIn(waitMs);
  }

  async #connected(): Promise<Socket> {
    if (this.#socket && !this.#socket.destroyed) return this.#socket;
    const socket = await this.#options.connect();
    // A break shows in the write that fails; 'close' says so between two of them.
    socket.on('error', () => {});
    socket.once('close', () => {
      if (this.#socket === socket) this.#socket = undefined;
    });
    socket.resume();
    this.#socket = socket;
    return socket;
  }

  #tellDropped(): void {
    if (this.#dropped === this.#toldDropped) return;
    this.#options.log.warn('spans dropped', { count: this.#dropped - this.#toldDropped });
    this.#toldDropped = this.#dropped;
  }
}

/** Resolves when the kernel has taken all of it; rejects when the connection ends before. */
function write(socket: Socket, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const onClose = () => reject(new Error('the connection closed'));
    socket.once('close', onClose);
    socket.write(bytes, (error) => {
      socket.off('close', onClose);
      if (error) reject(error);
      else resolve();
    });
  });
}
