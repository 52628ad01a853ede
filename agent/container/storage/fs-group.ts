// Group ownership of a volume's content (CSI, "fsGroup"): every file of it belongs to the group and can be used by it.
// The volume may be in use, and what it holds may be swapped at any moment: each entry is opened once, as what it is, and
// changed by its descriptor, so that no link leads the change elsewhere. What is mounted below is left alone.
import { constants } from 'node:fs';
import { chmod, chown, type FileHandle, open, opendir, stat } from 'node:fs/promises';
import { AgentError, isErrno } from '../../errors.ts';
import { Lane } from '../../guest/lane.ts';
import { O_PATH, withDirectory } from './guest-path.ts';
import type { Progress } from './patience.ts';
import type { FsGroup } from './storage.ts';

const SETGID = 0o2000;
const READ_WRITE = 0o660;
const READ_ONLY = 0o440;
const SEARCH = 0o110;
/** Of directories in each other; each holds two descriptors while its content is walked. */
const MAX_DEPTH = 256;
/** A walk takes a thread of libuv's, of 16, for as long as a file system lets it hang. */
const walks = new Lane({ name: 'group-changes', width: 2, maxWaiting: 1024 });

interface Walk {
  readonly gid: number;
  readonly readOnly: boolean;
  /** Of the volume's own file system. */
  readonly device: number;
  readonly progress: Progress;
}

/** @param readOnly gives no write permission */
export async function applyFsGroup(path: string, group: FsGroup, readOnly: boolean, progress: Progress): Promise<void> {
  await walks.run(async () => {
    await withDirectory(path, {}, async (directory) => {
      const root = await stat(directory);
      progress.moved();
      if (group.policy === 'on_root_mismatch' && isRight(root, group.gid, readOnly)) return;
      const walk = { gid: group.gid, readOnly, device: root.dev, progress };
      // The root comes last: if this ends half-way, the next one with `on_root_mismatch` must not take it for done.
      await changeBelow(directory, walk, 0);
      await change(directory, root, walk);
    });
  }, progress.signal);
}

function isRight({ gid, mode }: { gid: number; mode: number }, wantedGid: number, readOnly: boolean): boolean {
  const wanted = (readOnly ? READ_ONLY : READ_WRITE) | SEARCH | SETGID;
  return gid === wantedGid && (mode & wanted) === wanted;
}

async function changeBelow(directory: string, walk: Walk, depth: number): Promise<void> {
  if (depth >= MAX_DEPTH) {
    throw new AgentError('failed_precondition', `fs_group: more than ${MAX_DEPTH} directories in each other`, {
      fields: { field: 'fs_group' },
    });
  }
  const prefix = Buffer.from(`${directory}/`);
  // Names are bytes: what is found in a volume need not be UTF-8.
  for await (const entry of await opendir(directory, { encoding: 'buffer' as BufferEncoding })) {
    walk.progress.signal.throwIfAborted();
    const name = entry.name as unknown as Buffer;
    const handle = await openEntry(Buffer.concat([prefix, name]));
    walk.progress.moved();
    if (handle === undefined) continue;
    try {
      const found = await handle.stat();
      if (found.dev !== walk.device) continue;
      const itself = `/proc/self/fd/${handle.fd}`;
      if (found.isDirectory()) await changeBelow(itself, walk, depth + 1);
      await change(itself, found, walk);
    } finally {
      await handle.close();
    }
  }
}

/** Undefined when it has gone meanwhile. */
async function openEntry(path: Buffer): Promise<FileHandle | undefined> {
  try {
    return await open(path, O_PATH | constants.O_NOFOLLOW);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** @param path of a descriptor: it leads to the entry itself, which may be a link */
async function change(path: string, { uid, mode }: { uid: number; mode: number }, { gid, readOnly }: Walk): Promise<void> {
  await chown(path, uid, gid);
  const type = mode & constants.S_IFMT;
  const isDirectory = type === constants.S_IFDIR;
  if (!isDirectory && type !== constants.S_IFREG) return;
  const bits = (readOnly ? READ_ONLY : READ_WRITE) | (isDirectory ? SEARCH | SETGID : 0);
  await chmod(path, (mode & 0o7777) | bits);
}
