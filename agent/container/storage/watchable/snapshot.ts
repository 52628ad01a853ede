// What a watched directory or file of the host holds at one moment, in memory. The host shares it by virtio-fs, on which
// inotify tells nothing of the host's changes, and what is in it is not ours: no link is followed, nothing but files is read.
import { constants } from 'node:fs';
import { type FileHandle, open, readdir, readlink } from 'node:fs/promises';
import { fromErrno, isErrno } from '../../../errors.ts';
import { O_PATH, withEntry } from '../guest-path.ts';

/** Of files and links, as Kata; directories are counted by themselves. */
export const MAX_ENTRIES = 16;
export const MAX_DIRECTORIES = 16;
export const MAX_BYTES = 1024 * 1024;
const READ_FILE = constants.O_RDONLY | constants.O_NONBLOCK;

export interface Entry {
  readonly kind: 'file' | 'directory' | 'link';
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Differs when the entry has changed: inode, size, times, owner, mode, a link's target. */
  readonly signature: string;
  /** Of a file that is new or changed since the snapshot that was known; a link's target. */
  readonly content: Buffer | undefined;
}

/** By path below the source, parents first; a source that is a file is the entry ''. */
export type Snapshot = ReadonlyMap<string, Entry>;

/** More than can be watched. */
export class TooMuch extends Error {}

interface Scan {
  readonly known: Snapshot;
  readonly found: Map<string, Entry>;
  entries: number;
  directories: number;
  bytes: number;
}

/** @throws TooMuch; not_found when there is no source (any more) */
export async function takeSnapshot(source: string, known: Snapshot): Promise<Snapshot> {
  const scan: Scan = { known, found: new Map(), entries: 0, directories: 0, bytes: 0 };
  await withEntry(source, async (path, isDirectory) => {
    if (!isDirectory) return await addFile(scan, '', path);
    const root = await open(path, O_PATH);
    try {
      await addDirectory(scan, '', root);
    } finally {
      await root.close();
    }
  }).catch((error: unknown) => {
    throw error instanceof TooMuch ? error : fromErrno(error, `read ${source}`);
  });
  return scan.found;
}

export function sameContent(one: Snapshot, other: Snapshot): boolean {
  if (one.size !== other.size) return false;
  for (const [path, { signature }] of one) if (other.get(path)?.signature !== signature) return false;
  return true;
}

async function addDirectory(scan: Scan, name: string, handle: FileHandle): Promise<void> {
  if (++scan.directories > MAX_DIRECTORIES) throw new TooMuch(`more than ${MAX_DIRECTORIES} directories`);
  const stat = await handle.stat();
  const { mode, uid, gid } = stat;
  scan.found.set(name, { kind: 'directory', mode, uid, gid, signature: [mode, uid, gid].join(), content: undefined });
  const path = `/proc/self/fd/${handle.fd}`;
  const below = (await readdir(path)).sort();
  if (below.length > MAX_ENTRIES + MAX_DIRECTORIES) throw new TooMuch(`${below.length} entries in one directory`);
  for (const entry of below) await addEntry(scan, name === '' ? entry : `${name}/${entry}`, `${path}/${entry}`);
}

async function addEntry(scan: Scan, name: string, path: string): Promise<void> {
  let handle: FileHandle;
  try {
    handle = await open(path, O_PATH | constants.O_NOFOLLOW);
  } catch (error) {
    // Gone meanwhile: the next look says what there is now.
    if (isErrno(error, 'ENOENT')) return;
    throw error;
  }
  try {
    const stat = await handle.stat();
    if (stat.isDirectory()) await addDirectory(scan, name, handle);
    else if (stat.isSymbolicLink()) await addLink(scan, name, path, stat);
    // By its descriptor: what was looked at is what is opened.
    else if (stat.isFile()) await addFile(scan, name, `/proc/self/fd/${handle.fd}`);
  } finally {
    await handle.close();
  }
}

async function addLink(scan: Scan, name: string, path: string, { mode, uid, gid }: { mode: number; uid: number; gid: number }) {
  countEntry(scan, 0);
  const content = await readlink(path, { encoding: 'buffer' });
  countBytes(scan, content.length);
  scan.found.set(name, { kind: 'link', mode, uid, gid, signature: [content.toString('latin1'), uid, gid].join(), content });
}

/** @param path of a descriptor */
async function addFile(scan: Scan, name: string, path: string): Promise<void> {
  const handle = await open(path, READ_FILE);
  try {
    const stat = await handle.stat({ bigint: true });
    if (!stat.isFile()) return;
    countEntry(scan, Number(stat.size));
    const { mode, uid, gid, ino, size, mtimeNs, ctimeNs } = stat;
    const signature = [ino, size, mtimeNs, ctimeNs, mode, uid, gid].join();
    const unchanged = scan.known.get(name)?.signature === signature;
    const content = unchanged ? undefined : await readBounded(handle, Number(size));
    scan.found.set(name, { kind: 'file', mode: Number(mode), uid: Number(uid), gid: Number(gid), signature, content });
  } finally {
    await handle.close();
  }
}

/** Never more than was counted, however much the file grows meanwhile; the look after this one sees that it has. */
async function readBounded(handle: FileHandle, size: number): Promise<Buffer> {
  const buffer = Buffer.alloc(size);
  let filled = 0;
  while (filled < size) {
    const { bytesRead } = await handle.read(buffer, filled, size - filled, filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}

function countEntry(scan: Scan, bytes: number): void {
  if (++scan.entries > MAX_ENTRIES) throw new TooMuch(`more than ${MAX_ENTRIES} files and links`);
  countBytes(scan, bytes);
}

function countBytes(scan: Scan, bytes: number): void {
  scan.bytes += bytes;
  if (scan.bytes > MAX_BYTES) throw new TooMuch(`more than ${MAX_BYTES} bytes`);
}
