// A file on its way into a guest: what the agent has not taken yet is kept here and sent again where a connection broke, so that each byte
// arrives once.
import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { berth } from '#proto/berth.js';
import { AgentError } from '../../agent/errors.ts';
import type { TypedStream } from '../rpc/typed.ts';
import { asBuffer, type FilePlace, REOPEN_MS } from './file-content.ts';
import { type FileInfo, toFileInfo } from './file-info.ts';
import type { Link } from './link.ts';
import { FILES } from './methods.ts';

/** What a file can be written from. Of a stream no more is taken than the guest takes. */
export type FileSource = string | Uint8Array | AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/** How a file is written. */
export interface WriteOptions {
  /** Permission bits, taken as they are. Default 0o644. */
  readonly mode?: number;
  /** Default 0. */
  readonly uid?: number;
  readonly gid?: number;
  /** Make missing directories above it. Default false. */
  readonly makeParents?: boolean;
  /** `already_exists` instead of replacing what is there. */
  readonly exclusive?: boolean;
  /** Resolve only when the file is on the guest's disk. */
  readonly durable?: boolean;
  readonly signal?: AbortSignal;
}

type Call = TypedStream<berth.v1.WriteFileRequest.$Properties, berth.v1.WriteFileResponse>;

/** In one message. */
const CHUNK_BYTES = 128 * 1024;
/** Sent, and not told to have been taken. */
const WINDOW_BYTES = 2 * 1024 * 1024;

export class FileUpload {
  readonly #link: Link;
  readonly #place: FilePlace;
  readonly #options: WriteOptions;
  readonly #key = randomUUID();
  readonly #hash = createHash('sha256');
  readonly #pieces: AsyncIterator<Buffer>;
  #pulling: Promise<IteratorResult<Buffer>> | undefined;
  #size = 0;
  #ended = false;
  /** Pulled and not taken by the agent, the first of them at byte `#taken`. */
  #waiting: Buffer[] = [];
  #taken = 0;
  #wake: (() => void) | undefined;

  constructor(link: Link, place: FilePlace, source: FileSource, options: WriteOptions) {
    this.#link = link;
    this.#place = place;
    this.#options = options;
    this.#pieces = piecesOf(source);
  }

  /** @throws AgentError; what had the name stays then */
  async run(): Promise<FileInfo> {
    const { signal } = this.#options;
    try {
      for (;;) {
        const call = await this.#link.stream(FILES.write, signal === undefined ? {} : { signal });
        try {
          return toFileInfo(await this.#attempt(call));
        } catch (error) {
          call.cancel();
          if (!this.#link.mayResume(error)) throw error;
          await sleep(REOPEN_MS);
        }
      }
    } finally {
      if (!this.#ended) await this.#pieces.return?.();
    }
  }

  async #attempt(call: Call): Promise<berth.v1.FileInfo.$Properties> {
    const { mode, uid = 0, gid = 0, makeParents = false, exclusive = false } = this.#options;
    const begin = {
      path: this.#place,
      uid,
      gid,
      makeParents,
      exclusive,
      key: this.#key,
      ...(mode === undefined ? {} : { mode }),
    };
    await call.send({ begin });
    const replies = call[Symbol.asyncIterator]();
    const first = await replies.next();
    if (first.done) throw lost('the agent has not answered');
    if (first.value.info) return first.value.info;
    this.#accept(first.value.offset);
    const finished = this.#finished(replies);
    finished.catch(() => {});
    // As it is now: what waits becomes less while it is sent again.
    let at = this.#taken;
    for (const data of [...this.#waiting]) {
      await call.send({ chunk: { offset: BigInt(at), data } });
      at += data.length;
    }
    await this.#sendRest(call, finished);
    await call.send({ finish: { sha256: this.#sum(), size: BigInt(this.#size), durable: this.#options.durable ?? false } });
    call.end();
    return await finished;
  }

  async #sendRest(call: Call, finished: Promise<unknown>): Promise<void> {
    while (!this.#ended) {
      while (this.#size - this.#taken >= WINDOW_BYTES) await Promise.race([this.#changed(), finished]);
      // Kept over a break: what has been pulled must not be lost.
      this.#pulling ??= this.#pieces.next();
      const pulled = await Promise.race([
        this.#pulling.catch((error: unknown) => this.#giveUp(call, error)),
        finished.then(lostAnswer),
      ]);
      this.#pulling = undefined;
      if (pulled.done) {
        this.#ended = true;
        return;
      }
      const offset = BigInt(this.#size);
      this.#hash.update(pulled.value);
      this.#size += pulled.value.length;
      this.#waiting.push(pulled.value);
      await call.send({ chunk: { offset, data: pulled.value } });
    }
  }

  /** The source has failed: nothing is to be left of it in the guest. */
  async #giveUp(call: Call, error: unknown): Promise<never> {
    this.#ended = true;
    await call.send({ abandon: {} }).catch(() => {});
    call.end();
    throw error;
  }

  /** Resolves to what the agent says of the file once it has its name. */
  async #finished(replies: AsyncIterator<berth.v1.WriteFileResponse>): Promise<berth.v1.FileInfo.$Properties> {
    for (let next = await replies.next(); !next.done; next = await replies.next()) {
      if (next.value.info) return next.value.info;
      this.#accept(next.value.offset);
    }
    throw lost('the agent has ended the upload without a word');
  }

  #accept(offset: bigint): void {
    let done = Number(offset) - this.#taken;
    if (done < 0) throw new AgentError('aborted', `the guest has lost the first ${this.#taken} bytes of ${this.#place.path}`);
    this.#taken += done;
    while (done > 0) {
      const first = this.#waiting.shift();
      if (first === undefined) throw lost('it has taken more than was sent');
      if (first.length > done) this.#waiting.unshift(first.subarray(done));
      done -= Math.min(done, first.length);
    }
    this.#wake?.();
  }

  #changed(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  /** May be asked for again after a break. */
  #sum(): Buffer {
    return this.#hash.copy().digest();
  }
}

function lost(what: string): AgentError {
  return new AgentError('internal', `Write: ${what}`);
}

function lostAnswer(): never {
  throw lost('it has ended before the file has');
}

async function* piecesOf(source: FileSource): AsyncGenerator<Buffer> {
  const chunks = typeof source === 'string' ? [Buffer.from(source)] : source instanceof Uint8Array ? [source] : source;
  for await (const chunk of chunks) {
    const bytes = asBuffer(chunk);
    for (let at = 0; at < bytes.length; at += CHUNK_BYTES) yield bytes.subarray(at, at + CHUNK_BYTES);
  }
}
