// Group ownership of a volume's content (CSI, "fsGroup"): every file of it belongs to the group and can be used by it.
import { chmod, lchown, lstat, opendir } from 'node:fs/promises';
import { join } from 'node:path';
import { withDirectory } from './mount-target.ts';
import type { FsGroup } from './storage.ts';

const SETGID = 0o2000;
const READ_WRITE = 0o660;
const READ_ONLY = 0o440;
const SEARCH = 0o110;

/** @param readOnly leaves write permission as it is */
export async function applyFsGroup(path: string, { gid, policy }: FsGroup, readOnly: boolean): Promise<void> {
  await withDirectory(path, {}, async (directory) => {
    if (policy === 'on_root_mismatch' && (await matches(`${directory}/.`, gid, readOnly))) return;
    await own(`${directory}/.`, gid, readOnly);
    await ownBelow(directory, gid, readOnly);
  });
}

async function matches(directory: string, gid: number, readOnly: boolean): Promise<boolean> {
  const wanted = (readOnly ? READ_ONLY : READ_WRITE) | SEARCH | SETGID;
  const found = await lstat(directory);
  return found.gid === gid && (found.mode & wanted) === wanted;
}

async function ownBelow(directory: string, gid: number, readOnly: boolean): Promise<void> {
  for await (const entry of await opendir(directory)) {
    const path = join(directory, entry.name);
    await own(path, gid, readOnly);
    if (entry.isDirectory()) await ownBelow(path, gid, readOnly);
  }
}

/** A link gets the group and leads nowhere else: its target is reached, if at all, by its own name. */
async function own(path: string, gid: number, readOnly: boolean): Promise<void> {
  const { uid, mode } = await lstat(path);
  await lchown(path, uid, gid);
  const type = mode & 0o170000;
  const isDirectory = type === 0o040000;
  if (!isDirectory && type !== 0o100000) return;
  const bits = (readOnly ? READ_ONLY : READ_WRITE) | (isDirectory ? SEARCH | SETGID : 0);
  await chmod(path, (mode & 0o7777) | bits);
}
