// Trees of a guest as tar archives, checked by their SHA-256. An archive is not resumed: it is of what was there at the time.
import { createHash } from 'node:crypto';
import { ReadableStream } from 'node:stream/web';
import { AgentError } from '../../agent/errors.ts';
import { asBuffer, type FilePlace } from './file-content.ts';
import type { Link } from './link.ts';
import { FILES } from './methods.ts';

/** What of a tree is packed. */
export interface TarOutOptions {
  readonly signal?: AbortSignal;
}

/** How an archive is unpacked. */
export interface TarInOptions {
  /** Make the directory, with those above it. Default false. */
  readonly makeParents?: boolean;
  /** Owners as in the archive, by number; else all is root's. Default false. */
  readonly keepOwner?: boolean;
  /** Set-user-ID and set-group-ID bits as in the archive; else they are cleared. Default false. */
  readonly keepSetId?: boolean;
  /** `resource_exhausted` beyond so many. Default: as many as come. */
  readonly maxEntries?: number;
  readonly maxBytes?: number;
  readonly signal?: AbortSignal;
}

/** What has come of an archive. */
export interface Unpacked {
  readonly entries: number;
  /** Of content. */
  readonly bytes: number;
}

/** Iterate once. What is not read stays in the guest. */
export class TarOut implements AsyncIterable<Buffer> {
  readonly #link: Link;
  readonly #place: FilePlace;
  readonly #options: TarOutOptions;
  #packed: { readonly entries: number; readonly skipped: number } | undefined;

  constructor(link: Link, place: FilePlace, options: TarOutOptions) {
    this.#link = link;
    this.#place = place;
    this.#options = options;
  }

  /** How many members it has, and how many sockets, pipes and devices were left out; undefined before its end. */
  get packed(): { readonly entries: number; readonly skipped: number } | undefined {
    return this.#packed;
  }

  /** @throws AgentError data_loss when it is not what the guest has packed; unavailable when the connection breaks */
  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    const { signal } = this.#options;
    const stream = await this.#link.stream(FILES.tarOut, signal === undefined ? {} : { signal });
    await stream.send({ path: this.#place });
    stream.end();
    const hash = createHash('sha256');
    for await (const { data, summary } of stream) {
      if (summary) {
        checkSum(hash.digest(), summary.sha256, this.#place.path);
        this.#packed = { entries: Number(summary.entries ?? 0n), skipped: Number(summary.skipped ?? 0n) };
      } else {
        hash.update(data);
        yield asBuffer(data);
      }
    }
    if (this.#packed === undefined) throw new AgentError('data_loss', `${this.#place.path}: the archive ends before its end`);
  }

  /** As a Web stream, pulled no faster than its consumer. */
  get web(): ReadableStream<Uint8Array> {
    return ReadableStream.from(this);
  }
}

export async function unpackTar(
  link: Link,
  directory: FilePlace,
  archive: AsyncIterable<Uint8Array>,
  { signal, maxEntries = 0, maxBytes = 0, ...options }: TarInOptions,
): Promise<Unpacked> {
  const stream = await link.stream(FILES.tarIn, signal === undefined ? {} : { signal });
  const answer = firstOf(stream);
  // A refusal is told by the sending as well.
  answer.catch(() => {});
  const hash = createHash('sha256');
  try {
    await stream.send({ begin: { directory, ...options, maxEntries: BigInt(maxEntries), maxBytes: BigInt(maxBytes) } });
    for await (const chunk of archive) {
      for (let at = 0; at < chunk.length; at += CHUNK_BYTES) {
        const data = chunk.subarray(at, at + CHUNK_BYTES);
        hash.update(data);
        await stream.send({ data });
      }
    }
    stream.end();
    const { entries, bytes, sha256 } = await answer;
    checkSum(hash.digest(), sha256, directory.path);
    return { entries: Number(entries), bytes: Number(bytes) };
  } catch (error) {
    stream.cancel();
    throw error;
  }
}

const CHUNK_BYTES = 128 * 1024;

async function firstOf<T>(messages: AsyncIterable<T>): Promise<T> {
  let first: T | undefined;
  for await (const message of messages) first ??= message;
  if (first === undefined) throw new AgentError('internal', 'the agent has ended the call without an answer');
  return first;
}

function checkSum(ours: Buffer, theirs: Uint8Array | null | undefined, path: string): void {
  if (theirs && ours.equals(theirs)) return;
  throw new AgentError('data_loss', `${path}: the SHA-256 of the archive is not the same at both ends`, { fields: { path } });
}
