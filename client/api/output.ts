// One output stream of a process as this program reads it: bytes in order, each once, whatever happens to connections in between.
// What is not read here stays in the guest, and there it holds the process back or makes room, as its delivery says.
import { ReadableStream } from 'node:stream/web';
import { AgentError } from '../../agent/errors.ts';

/** Bytes that may be on their way or wait here for their reader. */
const WINDOW_BYTES = 1024 * 1024;
/** Credit and acknowledgement go out when so much has been read since, or when there is nothing to read: a guest's log may be full with less. */
const REPORT_BYTES = 64 * 1024;

/** A piece of an output, in order: bytes, a hole, or the end. */
export type OutputPiece =
  | { readonly kind: 'data'; readonly offset: bigint; readonly data: Buffer }
  /** Bytes [from, to) can't be had any more. */
  | { readonly kind: 'gap'; readonly from: bigint; readonly to: bigint }
  /** `closed`: nothing will follow. Otherwise the drain asked for ran out while `holders` still have it open. */
  | { readonly kind: 'end'; readonly offset: bigint; readonly closed: boolean; readonly holders: readonly Holder[] };

/** A process in the guest that has the stream open. */
export interface Holder {
  readonly pid: number;
  readonly command: string;
}

/** What an output needs from the call that feeds it. */
export interface OutputFeed {
  /** Somebody wants to read: see that there is a call. */
  wanted(): void;
  credit(bytes: number): void;
  acknowledge(offset: bigint): void;
}

/** One output stream of a process. It is read as bytes (`for await`), pieces, lines, text or a Web stream, by one reader at a time. */
export class ProcessOutput implements AsyncIterable<Buffer> {
  readonly #feed: OutputFeed;
  readonly #pieces: OutputPiece[] = [];
  #queued = 0;
  #next: bigint | undefined;
  #read: bigint | undefined;
  #unreported = 0;
  #started = false;
  #ended: 'no' | 'end' | 'left' | { readonly error: unknown } = 'no';
  #holders: readonly Holder[] = [];
  #wake: (() => void) | undefined;

  /** @internal */
  constructor(feed: OutputFeed) {
    this.#feed = feed;
  }

  /** Of the next byte to be read; undefined before anything is known of it. */
  get offset(): bigint | undefined {
    return this.#read;
  }

  /** Who in the guest still has it open after the process has ended, as far as told. */
  get holders(): readonly Holder[] {
    return this.#holders;
  }

  /** The bytes. @throws AgentError out_of_range at a gap: who can do with one reads {@link pieces} */
  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    for await (const piece of this.pieces()) {
      if (piece.kind === 'data') yield piece.data;
      if (piece.kind === 'gap') {
        throw new AgentError('out_of_range', `bytes ${piece.from} to ${piece.to} of the output are not kept any more`, {
          fields: { from: piece.from, to: piece.to },
        });
      }
    }
  }

  /** Bytes, gaps and the end. One reader at a time; one that leaves may come back for the rest. */
  async *pieces(): AsyncGenerator<OutputPiece> {
    this.#start();
    for (;;) {
      const piece = this.#pieces.shift();
      if (piece === undefined) {
        if (this.#ended === 'end' || this.#ended === 'left') return;
        if (typeof this.#ended === 'object') throw this.#ended.error;
        // The guest may be waiting to be told that what it holds has been read.
        this.#report();
        await this.#arrived();
        continue;
      }
      // Read is what its reader has come back from, or has left with: only then may the guest let go of it.
      try {
        yield piece;
      } finally {
        this.#taken(piece);
      }
    }
  }

  /** As a Web stream, pulled no faster than its consumer. @throws in the stream, as the iteration does */
  get web(): ReadableStream<Uint8Array> {
    const chunks = this[Symbol.asyncIterator]();
    return new ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          const { value, done } = await chunks.next();
          if (done) controller.close();
          else controller.enqueue(value);
        },
        cancel: () => this.leave(),
      },
      { highWaterMark: 0 },
    );
  }

  /** Lines without their ends, decoded as UTF-8; a last one without an end too. */
  async *lines(): AsyncGenerator<string> {
    const decoder = new TextDecoder();
    let rest = '';
    for await (const chunk of this) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) yield line.replace(/\r$/, '');
    }
    rest += decoder.decode();
    if (rest !== '') yield rest;
  }

  /** All of it. @throws AgentError resource_exhausted beyond `limitBytes` */
  async bytes(limitBytes = 64 * 1024 * 1024): Promise<Buffer> {
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of this) {
      length += chunk.length;
      if (length > limitBytes) {
        throw new AgentError('resource_exhausted', `the output is longer than ${limitBytes} bytes`, {
          fields: { limit: 'output' },
        });
      }
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  }

  /** As {@link bytes}, decoded as UTF-8. */
  async text(limitBytes?: number): Promise<string> {
    return (await this.bytes(limitBytes)).toString('utf8');
  }

  /** Nobody reads on: nothing more is sent, and what is not acknowledged stays for the next primary reader. */
  leave(): void {
    if (this.#ended !== 'no') return;
    this.#ended = 'left';
    this.#pieces.length = 0;
    this.#wake?.();
  }

  // --- for the call that feeds it

  /** @internal Where it wants to be fed from; undefined before anything has come. */
  get nextOffset(): bigint | undefined {
    return this.#next;
  }

  /** @internal What may be sent on a call that is opened now. */
  get openCredit(): number {
    return this.#started ? Math.max(0, WINDOW_BYTES - this.#queued) : 0;
  }

  /** @internal */
  get over(): boolean {
    return this.#ended !== 'no';
  }

  /** @internal */
  startAt(offset: bigint): void {
    this.#next ??= offset;
    this.#read ??= offset;
  }

  /** @internal */
  push(piece: OutputPiece): void {
    if (this.over) return;
    if (piece.kind === 'data') {
      this.#next = piece.offset + BigInt(piece.data.length);
      this.#queued += piece.data.length;
    } else if (piece.kind === 'gap') this.#next = piece.to;
    else {
      this.#ended = 'end';
      this.#holders = piece.holders;
    }
    this.#pieces.push(piece);
    this.#wake?.();
  }

  /** @internal */
  heldBy(holders: readonly Holder[]): void {
    this.#holders = holders;
  }

  /** @internal */
  fail(error: unknown): void {
    if (this.over) return;
    this.#ended = { error };
    this.#wake?.();
  }

  #start(): void {
    if (this.#started) return;
    this.#started = true;
    this.#feed.credit(this.openCredit);
    this.#feed.wanted();
  }

  #taken(piece: OutputPiece): void {
    if (piece.kind === 'end') {
      this.#report();
      return;
    }
    this.#read = piece.kind === 'gap' ? piece.to : piece.offset + BigInt(piece.data.length);
    if (piece.kind !== 'data') return;
    this.#queued -= piece.data.length;
    this.#unreported += piece.data.length;
    if (this.#unreported >= REPORT_BYTES) this.#report();
  }

  #report(): void {
    if (this.#unreported === 0) return;
    if (this.#read !== undefined) this.#feed.acknowledge(this.#read);
    this.#feed.credit(this.#unreported);
    this.#unreported = 0;
  }

  #arrived(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = undefined;
        resolve();
      };
    });
  }
}
