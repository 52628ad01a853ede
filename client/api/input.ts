// The standard input of a process as this program writes it: each byte arrives once, also when it has to be sent twice.
import { WritableStream } from 'node:stream/web';
import { AgentError } from '../../agent/errors.ts';

/** In one message. */
const CHUNK_BYTES = 64 * 1024;
/** Before the agent has told its own. */
const FIRST_WINDOW_BYTES = 64 * 1024;

/** What an input needs from the call that carries it. */
export interface InputFeed {
  /** Somebody writes: see that there is a call. */
  wanted(): void;
  /** Sends on the call of now, if there is one. */
  send(offset: bigint, data: Buffer): void;
  sendEnd(offset: bigint): void;
}

/** Why nothing more can be written. */
export type InputRefusal = 'reader-gone' | 'closed' | 'hole' | 'process-ended';

/** The standard input of a process. Each byte that is written arrives once, also over lost connections. */
export class ProcessInput {
  readonly #feed: InputFeed;
  /** Sent, and not accepted so far. */
  #waiting: Buffer[] = [];
  #accepted = 0n;
  #sent = 0n;
  #window = FIRST_WINDOW_BYTES;
  #ended = false;
  #refusal: { readonly why: InputRefusal; readonly error: AgentError } | undefined;
  readonly #changed = new Set<() => void>();

  /** @internal */
  constructor(feed: InputFeed) {
    this.#feed = feed;
  }

  /** Why nothing can be written any more, when that is so. A process that stops reading has not failed. */
  get refusal(): InputRefusal | undefined {
    return this.#refusal?.why;
  }

  /**
   * Resolves when `data` is on its way, which is while less than a window of it waits for the process.
   * @throws AgentError failed_precondition when the process reads no more, or after {@link end}
   */
  async write(data: string | Uint8Array): Promise<void> {
    const bytes = Buffer.from(data as Uint8Array);
    for (let at = 0; at < bytes.length; ) {
      if (this.#ended) throw new AgentError('failed_precondition', 'stdin has been ended');
      this.#feed.wanted();
      while (this.#refusal === undefined && this.#room() <= 0) await this.#change();
      if (this.#refusal !== undefined) throw this.#refusal.error;
      const chunk = bytes.subarray(at, at + Math.min(CHUNK_BYTES, this.#room()));
      at += chunk.length;
      this.#waiting.push(chunk);
      this.#feed.send(this.#sent, chunk);
      this.#sent += BigInt(chunk.length);
    }
  }

  /** End of input; resolves when the agent has taken everything. @throws as {@link write} */
  async end(data?: string | Uint8Array): Promise<void> {
    if (data !== undefined) await this.write(data);
    if (!this.#ended) {
      this.#ended = true;
      this.#feed.wanted();
      this.#feed.sendEnd(this.#sent);
    }
    await this.flushed();
  }

  /** Resolves when the agent has taken everything that was written, so that it outlives this program. */
  async flushed(): Promise<void> {
    while (this.#refusal === undefined && this.#accepted < this.#sent) await this.#change();
    if (this.#refusal !== undefined && this.#accepted < this.#sent) throw this.#refusal.error;
  }

  /** As a Web stream, with the process's own pace as its backpressure. */
  get web(): WritableStream<Uint8Array> {
    return new WritableStream({ write: (chunk) => this.write(chunk), close: () => this.end() });
  }

  // --- for the call that carries it

  /** @internal A call has been opened: what the agent has is known, and the rest is sent again. */
  opened(accepted: bigint, window: number): void {
    this.#window = window;
    // A process that was attached to has had input from others, or from an earlier life of this program.
    if (this.#sent === 0n) this.#sent = accepted;
    this.accept(accepted);
    let offset = this.#accepted;
    for (const chunk of this.#waiting) {
      this.#feed.send(offset, chunk);
      offset += BigInt(chunk.length);
    }
    if (this.#ended) this.#feed.sendEnd(this.#sent);
  }

  /** @internal */
  accept(offset: bigint): void {
    let done = Number(offset - this.#accepted);
    if (done <= 0) return;
    this.#accepted = offset;
    while (done > 0 && this.#waiting.length > 0) {
      const first = this.#waiting[0]!;
      if (first.length > done) this.#waiting[0] = first.subarray(done);
      else this.#waiting.shift();
      done -= first.length;
    }
    this.#notify();
  }

  /** @internal */
  refuse(why: InputRefusal, message: string): void {
    if (this.#refusal !== undefined) return;
    this.#refusal = { why, error: new AgentError('failed_precondition', `stdin: ${message}`, { fields: { reason: why } }) };
    this.#waiting = [];
    this.#notify();
  }

  /** What may be sent: the agent ends a call on which more than its window waits. */
  #room(): number {
    return this.#window - Number(this.#sent - this.#accepted);
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#changed.add(resolve));
  }

  #notify(): void {
    for (const resolve of this.#changed) resolve();
    this.#changed.clear();
  }
}
