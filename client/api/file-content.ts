// The content of a file in a guest: bytes in order, each once, whatever happens to connections in between, and checked by their SHA-256.
import { createHash } from 'node:crypto';
import { ReadableStream } from 'node:stream/web';
import { setTimeout as sleep } from 'node:timers/promises';
import { AgentError } from '../../agent/errors.ts';
import { type FileInfo, toFileInfo } from './file-info.ts';
import type { Link } from './link.ts';
import { FILES } from './methods.ts';

/** Which bytes of a file are wanted. */
export interface ReadOptions {
  /** Bytes from the beginning. Default 0. */
  readonly offset?: number;
  /** Default: all that is there. */
  readonly length?: number;
  /** A file that changes while it is read is `aborted` at its end, unless this is set: for a log that is being written. */
  readonly mayChange?: boolean;
  readonly signal?: AbortSignal;
}

export interface FilePlace {
  readonly containerId: string;
  readonly path: string;
}

/** Between two calls that each broke at once. */
export const REOPEN_MS = 20;
const DEFAULT_LIMIT_BYTES = 64 * 1024 * 1024;

/** Iterate once. What is not read stays in the guest. */
export class FileContent implements AsyncIterable<Buffer> {
  readonly #link: Link;
  readonly #place: FilePlace;
  readonly #options: ReadOptions;
  #info: FileInfo | undefined;

  constructor(link: Link, place: FilePlace, options: ReadOptions) {
    this.#link = link;
    this.#place = place;
    this.#options = options;
  }

  /** Of the file as it was when the reading began; undefined before anything has come. */
  get info(): FileInfo | undefined {
    return this.#info;
  }

  /** @throws AgentError data_loss when it is not what the guest has read; aborted when the file has changed meanwhile */
  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    const { offset: start = 0, length, mayChange = false, signal } = this.#options;
    const whole = createHash('sha256');
    let at = start;
    let breaks = 0;
    for (;;) {
      const stream = await this.#link.stream(FILES.read, signal === undefined ? {} : { signal });
      try {
        const left = length === undefined ? 0n : BigInt(start + length - at);
        await stream.send({
          path: this.#place,
          offset: BigInt(at),
          length: left,
          identity: this.#identity(mayChange),
          mayChange,
        });
        stream.end();
        const part = createHash('sha256');
        let sum: Uint8Array | undefined;
        for await (const message of stream) {
          if (message.info) this.#info ??= toFileInfo(message.info);
          if (message.sha256.length > 0) sum = message.sha256;
          if (message.data.length === 0) continue;
          if (message.offset !== BigInt(at)) throw this.#loss(`byte ${message.offset} came where ${at} was due`);
          const data = asBuffer(message.data);
          part.update(data);
          whole.update(data);
          at += data.length;
          yield data;
        }
        if (sum !== undefined && !part.digest().equals(sum)) throw this.#loss('its SHA-256 is not what the guest has read');
        if (sum === undefined && breaks === 0) throw this.#loss('the guest has told no SHA-256');
        if (breaks > 0 && !mayChange) await this.#checkWhole(whole.digest(), { start, length: at - start });
        return;
      } catch (error) {
        if (!this.#link.mayResume(error)) throw error;
        // All has come but its sum, and asking for no bytes would be asking for all.
        if (length !== undefined && at - start === length) {
          return mayChange ? undefined : await this.#checkWhole(whole.digest(), { start, length });
        }
        breaks++;
        await sleep(REOPEN_MS);
      }
    }
  }

  /** As a Web stream, pulled no faster than its consumer. */
  get web(): ReadableStream<Uint8Array> {
    return ReadableStream.from(this);
  }

  /** All of it. @throws AgentError resource_exhausted beyond `limitBytes`, 64 MiB unless given */
  async bytes(limitBytes = DEFAULT_LIMIT_BYTES): Promise<Buffer> {
    const pieces: Buffer[] = [];
    let length = 0;
    for await (const piece of this) {
      length += piece.length;
      if (length > limitBytes) {
        throw new AgentError('resource_exhausted', `${this.#place.path} is longer than ${limitBytes} bytes`, {
          fields: { limit: 'file' },
        });
      }
      pieces.push(piece);
    }
    return Buffer.concat(pieces);
  }

  async text(limitBytes?: number): Promise<string> {
    return (await this.bytes(limitBytes)).toString('utf8');
  }

  #identity(mayChange: boolean): string {
    return mayChange ? '' : (this.#info?.identity ?? '');
  }

  /** The sum of each part was told with its last byte only, so what came in several parts is summed once more where it lies. */
  async #checkWhole(sum: Buffer, { start, length }: { start: number; length: number }): Promise<void> {
    if (length === 0) return;
    if (
      !sum.equals(
        await digestOf(this.#link, this.#place, {
          offset: start,
          length,
          signal: this.#options.signal,
          identity: this.#info?.identity ?? '',
        }),
      )
    )
      throw this.#loss('its SHA-256 is not what the guest has');
  }

  #loss(what: string): AgentError {
    return new AgentError('data_loss', `${this.#place.path}: ${what}`, { fields: { path: this.#place.path } });
  }
}

export interface DigestOptions {
  readonly offset?: number;
  readonly length?: number;
  readonly identity?: string;
  readonly signal?: AbortSignal | undefined;
}

/** SHA-256 of a file, summed where it lies. */
export async function digestOf(link: Link, place: FilePlace, options: DigestOptions): Promise<Buffer> {
  const { offset = 0, length = 0, identity = '', signal } = options;
  for (;;) {
    const stream = await link.stream(FILES.read, signal === undefined ? {} : { signal });
    try {
      await stream.send({ path: place, offset: BigInt(offset), length: BigInt(length), identity, digestOnly: true });
      stream.end();
      let sum: Uint8Array = new Uint8Array(0);
      for await (const { sha256 } of stream) if (sha256.length > 0) sum = sha256;
      return asBuffer(sum);
    } catch (error) {
      if (!link.mayResume(error)) throw error;
      await sleep(REOPEN_MS);
    }
  }
}

export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
