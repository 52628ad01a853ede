// The content of one regular file, piece by piece, with its SHA-256.
import { createHash } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { AgentError } from '../../errors.ts';
import { fileError, quoted } from './file-error.ts';
import { identityOf } from './file-facts.ts';
import { FILES } from './files-lane.ts';

/** In one piece, bytes. Hashing one takes some 0.1 to 0.3 ms of the event loop. */
export const PIECE_BYTES = 128 * 1024;

export interface ContentOptions {
  readonly offset: number;
  /** Undefined for all that is there. */
  readonly length: number | undefined;
  readonly mayChange: boolean;
  /** Bytes left free in front of each piece, for whoever sends it. */
  readonly headroom: number;
  readonly signal: AbortSignal;
}

/** A piece: `buffer` holds the headroom, then the data. */
export interface Piece {
  readonly offset: number;
  readonly data: Buffer;
}

export class Content {
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #hash = createHash('sha256');
  /** As it was when the reading began. */
  readonly stats: BigIntStats;

  private constructor(file: FileHandle, path: string, stats: BigIntStats) {
    this.#file = file;
    this.#path = path;
    this.stats = stats;
  }

  /** @param identity of an earlier read; '' for whatever is there @throws aborted when it is another by now */
  static async open(file: FileHandle, path: string, identity: string): Promise<Content> {
    const stats = await FILES.run(() => file.stat({ bigint: true }));
    if (identity !== '' && identity !== identityOf(stats)) throw changed(path);
    return new Content(file, path, stats);
  }

  /** SHA-256 of what was read. Once, at the end. */
  digest(): Buffer {
    return this.#hash.digest();
  }

  /** @throws aborted at the end when the file has changed meanwhile; the signal's reason */
  async *pieces({ offset, length, mayChange, headroom, signal }: ContentOptions): AsyncGenerator<Piece> {
    const end = length === undefined ? Number.MAX_SAFE_INTEGER : offset + length;
    for (let at = offset; at < end; ) {
      const room = Buffer.allocUnsafeSlow(headroom + Math.min(PIECE_BYTES, end - at));
      const bytesRead = await this.#read(room, headroom, at, signal);
      if (bytesRead === 0) break;
      const data = room.subarray(headroom, headroom + bytesRead);
      this.#hash.update(data);
      yield { offset: at, data };
      at += bytesRead;
    }
    const now = await FILES.run(() => this.#file.stat({ bigint: true }), signal);
    if (!mayChange && identityOf(now) !== identityOf(this.stats)) throw changed(this.#path);
  }

  async #read(room: Buffer, from: number, at: number, signal: AbortSignal): Promise<number> {
    try {
      return (await FILES.run(() => this.#file.read(room, from, room.length - from, at), signal)).bytesRead;
    } catch (error) {
      throw signal.aborted ? signal.reason : fileError(error, 'read', this.#path);
    }
  }
}

function changed(path: string): AgentError {
  return new AgentError('aborted', `${quoted(path)} has changed since its reading began`, {
    fields: { field: 'identity', path },
  });
}
