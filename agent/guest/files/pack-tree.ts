// A tree, or one file, as a tar archive, in pieces of one size whatever the files are. Nothing in it is opened but directories and regular
// files, and no link is followed, whoever swaps one in meanwhile.
import { createHash } from 'node:crypto';
import { type BigIntStats, constants } from 'node:fs';
import { type FileHandle, lstat, open, readlink, statfs } from 'node:fs/promises';
import { AgentError, isErrno } from '../../errors.ts';
import { descriptorPath } from './confined-directory.ts';
import { PIECE_BYTES } from './content.ts';
import { atBytes, namesIn } from './directory-names.ts';
import { fileError, quoted } from './file-error.ts';
import { typeOf } from './file-facts.ts';
import { type FileRoot, O_PATH, openRegular } from './file-root.ts';
import { FILES } from './files-lane.ts';
import { END_BYTES, paddingOf, type TarEntry, type TarType } from './tar/entry.ts';
import { tarHeader } from './tar/write-header.ts';

/** Of directories in each other; each holds three descriptors. */
const MAX_DEPTH = 128;
/** Files with several names that are remembered; of more the content comes again. */
const MAX_LINKS = 65_536;
/** f_type of file systems that are the kernel's own (linux/magic.h): proc, sysfs, cgroup2, cgroup, devpts, debugfs, tracefs, securityfs, bpf, mqueue. */
const KERNEL_FILE_SYSTEMS = new Set([
  0x9fa0, 0x62656572, 0x63677270, 0x27e0eb, 0x1cd1, 0x64626720, 0x74726163, 0x73636673, 0xcafe4a11, 0x19800202,
]);

const NO_NAME = Buffer.alloc(0);

export interface PackSummary {
  readonly entries: number;
  readonly bytes: number;
  readonly skipped: number;
  readonly sha256: Buffer;
}

export class TreePacker {
  readonly #headroom: number;
  readonly #signal: AbortSignal;
  readonly #hash = createHash('sha256');
  readonly #links = new Map<string, Buffer>();
  #room: Buffer;
  #end: number;
  #entries = 0;
  #bytes = 0;
  #skipped = 0;

  /** @param headroom bytes left free in front of each piece, for whoever sends it */
  constructor(headroom: number, signal: AbortSignal) {
    this.#headroom = headroom;
    this.#signal = signal;
    this.#room = this.#newRoom();
    this.#end = headroom;
  }

  /** What was packed, once all of it was taken. */
  summary(): PackSummary {
    return { entries: this.#entries, bytes: this.#bytes, skipped: this.#skipped, sha256: this.#hash.digest() };
  }

  /** The archive. @throws AgentError aborted for a file that became shorter meanwhile */
  async *pack(root: FileRoot, path: string): AsyncGenerator<Buffer> {
    const place = await root.find(path);
    try {
      const handle = await FILES.run(() => open(descriptorPath(place), O_PATH));
      try {
        const stats = await FILES.run(() => handle.stat({ bigint: true }));
        if (stats.isDirectory()) yield* this.#directory(handle, stats, { name: './', depth: 0, device: stats.dev });
        else yield* this.#file(handle.fd, Buffer.from(path.split('/').filter(Boolean).at(-1) ?? ''), path);
      } finally {
        await handle.close();
      }
    } catch (error) {
      throw this.#signal.aborted ? this.#signal.reason : fileError(error, 'pack', path);
    } finally {
      root.door.close(place);
    }
    yield* this.#put(Buffer.alloc(END_BYTES));
    const last = this.#take();
    if (last !== undefined) yield last;
  }

  async *#directory(
    place: FileHandle,
    stats: BigIntStats,
    { name, depth, device }: { name: string | Buffer; depth: number; device: bigint },
  ): AsyncGenerator<Buffer> {
    const prefix = Buffer.from(name);
    yield* this.#header(prefix, 'directory', stats);
    if (depth > MAX_DEPTH) {
      throw new AgentError(
        'failed_precondition',
        `${quoted(prefix.toString())}: more than ${MAX_DEPTH} directories in each other`,
      );
    }
    if (stats.dev !== device && (await isOfTheKernel(place))) return;
    const flags = constants.O_RDONLY | constants.O_DIRECTORY;
    const handle = await FILES.run(() => open(`${descriptorPath(place.fd)}/.`, flags));
    try {
      for await (const entry of namesIn(handle.fd, (work) => FILES.run(work, this.#signal))) {
        yield* this.#entry(handle.fd, entry, { prefix, depth, device: stats.dev });
      }
    } finally {
      await handle.close();
    }
  }

  async *#entry(
    directory: number,
    name: Buffer,
    { prefix, depth, device }: { prefix: Buffer; depth: number; device: bigint },
  ): AsyncGenerator<Buffer> {
    const full = Buffer.concat([prefix, name]);
    const place = await unlessGone(FILES.run(() => open(atBytes(directory, name), O_PATH | constants.O_NOFOLLOW)));
    if (place === undefined) return;
    try {
      const stats = await FILES.run(() => place.stat({ bigint: true }));
      const type = typeOf(stats);
      if (type === 'directory') {
        yield* this.#directory(place, stats, { name: Buffer.concat([full, Buffer.from('/')]), depth: depth + 1, device });
      } else if (type === 'regular') yield* this.#file(place.fd, full, full.toString());
      else if (type === 'symlink') yield* this.#symlink(atBytes(directory, name), full);
      else this.#skipped++;
    } finally {
      await place.close();
    }
  }

  async *#symlink(path: Buffer, name: Buffer): AsyncGenerator<Buffer> {
    const target = await unlessGone(FILES.run(() => readlink(path, 'buffer')));
    const stats = await unlessGone(FILES.run(() => lstat(path, { bigint: true })));
    if (target !== undefined && stats !== undefined) yield* this.#header(name, 'symlink', stats, target);
  }

  async *#file(place: number, name: Buffer, path: string): AsyncGenerator<Buffer> {
    const file = await openRegular(place, path);
    try {
      const stats = await FILES.run(() => file.stat({ bigint: true }));
      const earlier = this.#earlierName(stats, name);
      if (earlier !== undefined) {
        yield* this.#header(name, 'link', stats, earlier);
        return;
      }
      const size = Number(stats.size);
      yield* this.#header(name, 'file', stats);
      yield* this.#content(file, size, path);
      yield* this.#put(Buffer.alloc(paddingOf(size)));
    } finally {
      await file.close();
    }
  }

  async *#content(file: FileHandle, size: number, path: string): AsyncGenerator<Buffer> {
    for (let at = 0; at < size; ) {
      const length = Math.min(size - at, this.#room.length - this.#end);
      const { bytesRead } = await FILES.run(() => file.read(this.#room, this.#end, length, at), this.#signal);
      if (bytesRead === 0) {
        throw new AgentError('aborted', `${quoted(path)} became shorter while it was packed`, {
          fields: { field: 'path', path },
        });
      }
      at += bytesRead;
      this.#end += bytesRead;
      if (this.#end === this.#room.length) yield this.#take()!;
    }
  }

  *#header(name: Buffer, type: Exclude<TarType, 'other'>, stats: BigIntStats, linkName: Buffer = NO_NAME): Generator<Buffer> {
    this.#entries++;
    const entry: TarEntry = {
      name,
      type,
      size: type === 'file' ? Number(stats.size) : 0,
      mode: Number(stats.mode) & 0o7777,
      uid: Number(stats.uid),
      gid: Number(stats.gid),
      modified: Number(stats.mtimeNs / 1_000_000_000n),
      linkName,
    };
    yield* this.#put(tarHeader(entry));
  }

  *#put(bytes: Buffer): Generator<Buffer> {
    for (let from = 0; from < bytes.length; ) {
      const copied = bytes.copy(this.#room, this.#end, from);
      from += copied;
      this.#end += copied;
      if (this.#end === this.#room.length) yield this.#take()!;
    }
  }

  #take(): Buffer | undefined {
    if (this.#end === this.#headroom) return undefined;
    const piece = this.#room.subarray(this.#headroom, this.#end);
    this.#hash.update(piece);
    this.#bytes += piece.length;
    this.#room = this.#newRoom();
    this.#end = this.#headroom;
    return piece;
  }

  #newRoom(): Buffer {
    return Buffer.allocUnsafeSlow(this.#headroom + PIECE_BYTES);
  }

  /** The name under which the content of a file with several names is in the archive already. */
  #earlierName({ nlink, dev, ino }: BigIntStats, name: Buffer): Buffer | undefined {
    if (nlink < 2n) return undefined;
    const key = `${dev}:${ino}`;
    const earlier = this.#links.get(key);
    if (earlier === undefined && this.#links.size < MAX_LINKS) this.#links.set(key, name);
    return earlier;
  }
}

/** Undefined for what went meanwhile, or became something else. */
async function unlessGone<T>(looking: Promise<T>): Promise<T | undefined> {
  try {
    return await looking;
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'EINVAL')) return undefined;
    throw error;
  }
}

async function isOfTheKernel(place: FileHandle): Promise<boolean> {
  const { type } = await FILES.run(() => statfs(`${descriptorPath(place.fd)}/.`));
  return KERNEL_FILE_SYSTEMS.has(type);
}
