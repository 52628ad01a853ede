// What a process writes, from its pipe or terminal to whoever reads it: a bounded queue of bytes.
// INVARIANTS: at most `limitBytes` plus one chunk are held; while the queue is full nothing is read, so the kernel
// holds the writer back. A byte is given to exactly one read, in order.
import type { Socket } from 'node:net';
import { AgentError } from '../errors.ts';

/** design.md §3: the log of one stream. */
export const STREAM_LIMIT_BYTES = 256 * 1024;
/** Reads of one stream that may wait at the same time. */
const MAX_WAITING_READS = 64;
/** How long output may go on after its process has ended while something it left behind holds the pipe (kata-agent.md §3.8). */
export const DRAIN_MS = 500;

/** Gets the bytes as they are read, valid during the call only; returning false stops the reading until `resume()`. */
export type OnChunk = (chunk: Buffer) => boolean;

/** Opens the stream's fd as a socket that hands on what it reads. */
export type OpenReadable = (onChunk: OnChunk) => Socket;

interface WaitingRead {
  maxBytes: number;
  resolve(data: Uint8Array): void;
}

const EMPTY = new Uint8Array(0);

export class OutputStream {
  readonly #socket: Socket;
  readonly #limitBytes: number;
  readonly #drainMs: number;
  readonly #chunks: Buffer[] = [];
  readonly #waiting: WaitingRead[] = [];
  #heldBytes = 0;
  #readTotal = 0;
  #paused = false;
  #ended = false;
  #drainTimer: NodeJS.Timeout | undefined;

  constructor(open: OpenReadable, options: { limitBytes?: number; drainMs?: number } = {}) {
    this.#limitBytes = options.limitBytes ?? STREAM_LIMIT_BYTES;
    this.#drainMs = options.drainMs ?? DRAIN_MS;
    this.#socket = open((chunk) => this.#received(chunk));
    // A terminal whose last slave has closed reads EIO (man 4 pts): that is its end of output.
    this.#socket.on('error', () => this.#finish());
    this.#socket.on('end', () => {
      this.#finish();
      this.#socket.destroy();
    });
    this.#socket.on('close', () => this.#finish());
  }

  /** No more bytes will come: the last writer closed, or the drain after exit is over. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Everything was written and everything was read. */
  get consumed(): boolean {
    return this.#ended && this.#heldBytes === 0;
  }

  /**
   * The next bytes, between 1 and `maxBytes`; empty only at the end of output. Waits while there are none.
   * @throws resource_exhausted when too many reads wait already; the signal's reason when it is aborted
   */
  read(maxBytes: number, signal?: AbortSignal): Promise<Uint8Array> {
    if (maxBytes <= 0) return Promise.resolve(EMPTY);
    if (this.#heldBytes > 0) return Promise.resolve(this.#take(maxBytes));
    if (this.#ended) return Promise.resolve(EMPTY);
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#waiting.length >= MAX_WAITING_READS) {
      return Promise.reject(
        new AgentError('resource_exhausted', `more than ${MAX_WAITING_READS} reads wait on this stream`, {
          fields: { limit: 'reads-per-stream' },
        }),
      );
    }
    return this.#wait(maxBytes, signal);
  }

  /** The process is gone: what it left in the pipe is still delivered, but a child of it that keeps the pipe no longer holds up the end. */
  processExited(): void {
    if (!this.#ended && this.#drainTimer === undefined) this.#armDrain();
  }

  /** Gives up the fd and what is held. */
  close(): void {
    this.#chunks.length = 0;
    this.#heldBytes = 0;
    this.#finish();
    this.#socket.destroy();
  }

  #wait(maxBytes: number, signal: AbortSignal | undefined): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const waiting: WaitingRead = {
        maxBytes,
        resolve: (data) => {
          signal?.removeEventListener('abort', onAbort);
          resolve(data);
        },
      };
      const onAbort = () => {
        const at = this.#waiting.indexOf(waiting);
        if (at >= 0) this.#waiting.splice(at, 1);
        reject(signal?.reason);
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiting.push(waiting);
    });
  }

  #received(chunk: Buffer): boolean {
    this.#chunks.push(Buffer.from(chunk));
    this.#heldBytes += chunk.length;
    this.#readTotal += chunk.length;
    while (this.#waiting.length > 0 && this.#heldBytes > 0) {
      const next = this.#waiting.shift()!;
      next.resolve(this.#take(next.maxBytes));
    }
    this.#paused = this.#heldBytes >= this.#limitBytes;
    return !this.#paused;
  }

  #take(maxBytes: number): Uint8Array {
    const first = this.#chunks[0]!;
    const taken = first.length >= maxBytes || this.#chunks.length === 1 ? this.#takeFirst(maxBytes) : this.#takeMany(maxBytes);
    this.#heldBytes -= taken.length;
    if (this.#paused && this.#heldBytes <= this.#limitBytes / 2) {
      this.#paused = false;
      this.#socket.resume();
    }
    return taken;
  }

  #takeFirst(maxBytes: number): Buffer {
    const first = this.#chunks[0]!;
    if (first.length <= maxBytes) {
      this.#chunks.shift();
      return first;
    }
    this.#chunks[0] = first.subarray(maxBytes);
    return first.subarray(0, maxBytes);
  }

  #takeMany(maxBytes: number): Buffer {
    const parts: Buffer[] = [];
    for (let room = maxBytes; room > 0 && this.#chunks.length > 0; ) {
      const part = this.#takeFirst(room);
      room -= part.length;
      parts.push(part);
    }
    return Buffer.concat(parts);
  }

  #armDrain(): void {
    const before = this.#readTotal;
    this.#drainTimer = setTimeout(() => {
      // Timers run before the poll phase: after a blocked loop there may be bytes that nobody has read yet.
      setImmediate(() => {
        if (this.#ended) return;
        if (this.#paused || this.#heldBytes > 0 || this.#readTotal !== before) this.#armDrain();
        else this.#finish();
      });
    }, this.#drainMs);
  }

  #finish(): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#drainTimer);
    if (this.#heldBytes > 0) return;
    for (const waiting of this.#waiting.splice(0)) waiting.resolve(EMPTY);
  }
}
