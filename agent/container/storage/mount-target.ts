// Mount points: made and reached component by component, by file descriptor. A symbolic link on the way is refused, so a
// container that can write to a shared directory can't turn a mount elsewhere (CVE-2020-2026 of Kata).
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, rmdir } from 'node:fs/promises';
import { MNT_DETACH, MS, UMOUNT_NOFOLLOW } from '../../../native/index.ts';
import { AgentError, fromErrno, isErrno } from '../../errors.ts';
import { checkAbsolutePath, isWithin } from '../spec/paths.ts';
import type { MountOptions } from './mount-options.ts';
import type { StorageDoor } from './storage.ts';

/** Linux's O_PATH (asm-generic/fcntl.h), which Node has no name for: a place in the tree, neither read nor written. */
const O_PATH = 0o10000000;
const DIRECTORY_ONLY = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** Nothing is mounted on these or below, except what is named below /dev and /run. */
const PROTECTED: readonly string[] = ['/proc', '/sys', '/usr', '/etc', '/bin', '/sbin', '/lib', '/lib64', '/run/berth'];
/** Nothing is mounted on these themselves. */
const PROTECTED_ROOTS: readonly string[] = ['/', '/dev', '/run', '/tmp', '/var'];

/** @throws invalid_argument for a mount point that is not absolute or would hide the guest's own */
export function checkMountPoint(path: string): string {
  if (path === '') throw refusal(path, 'is empty');
  const normal = checkAbsolutePath(path, 'storages[].mount_point').replace(/^\/var\/run\//, '/run/');
  if (PROTECTED_ROOTS.includes(normal) || PROTECTED.some((kept) => isWithin(normal, kept) || isWithin(kept, normal))) {
    throw refusal(path, 'belongs to the guest itself');
  }
  return normal;
}

/** Makes the directory and those above it. @throws invalid_argument where a link or a file is in the way */
export async function makeDirectory(path: string, mode = 0o755): Promise<void> {
  await withDirectory(path, { create: true, mode }, async () => {});
}

/** Mounts on `target`, a directory that is made first. */
export async function mountOn(
  door: StorageDoor,
  target: string,
  { source, fstype }: { source: string; fstype: string },
  { flags, propagation, data }: MountOptions,
): Promise<void> {
  await withDirectory(target, { create: true }, async (directory) => {
    try {
      await door.mount(source, directory, fstype, flags, data);
    } catch (error) {
      throw fromErrno(error, `mount ${source} (${fstype}) on ${target}`, { mountPoint: target });
    }
  });
  const isBind = (flags & MS.BIND) !== 0;
  // A bind mount takes its source's flags; its own need a second call (man 2 mount, "Remounting").
  const later = isBind && (flags & ~(MS.BIND | MS.REC)) !== 0 ? [flags | MS.REMOUNT, ...propagation] : propagation;
  try {
    for (const change of later) {
      await withDirectory(target, {}, (directory) => door.mount('none', directory, '', change, ''));
    }
  } catch (error) {
    await unmountFrom(door, target).catch(() => {});
    throw fromErrno(error, `change the mount on ${target}`, { mountPoint: target });
  }
}

/** Takes the top mount off `target` whoever still uses it; nothing mounted there is fine. */
export async function unmountFrom(door: StorageDoor, target: string): Promise<void> {
  const { parent, name } = splitPath(target);
  try {
    await withDirectory(parent, {}, (directory) => door.umount(`${directory}/${name}`, MNT_DETACH | UMOUNT_NOFOLLOW));
  } catch (error) {
    if (!isErrno(cause(error), 'EINVAL', 'ENOENT')) throw fromErrno(error, `unmount ${target}`, { mountPoint: target });
  }
}

/** Removes the directory if it is empty. */
export async function removeDirectory(path: string): Promise<void> {
  const { parent, name } = splitPath(path);
  try {
    await withDirectory(parent, {}, (directory) => rmdir(`${directory}/${name}`));
  } catch (error) {
    if (!isErrno(cause(error), 'ENOENT', 'ENOTEMPTY', 'EBUSY', 'EROFS')) throw fromErrno(error, `remove ${path}`);
  }
}

/** Runs `use` with a path that names the directory by an open descriptor, whatever happens to its name meanwhile. */
export async function withDirectory<T>(
  path: string,
  { create = false, mode = 0o755 }: { create?: boolean; mode?: number },
  use: (directory: string) => Promise<T>,
): Promise<T> {
  let handle = await open('/', DIRECTORY_ONLY);
  try {
    const names = path.split('/').filter((name) => name !== '');
    for (const [index, name] of names.entries()) {
      const next = await openBelow(handle, name, path, create, index === names.length - 1 ? mode : 0o755);
      await handle.close();
      handle = next;
    }
    return await use(descriptorPath(handle));
  } finally {
    await handle.close();
  }
}

async function openBelow(directory: FileHandle, name: string, path: string, create: boolean, mode: number): Promise<FileHandle> {
  const below = `${descriptorPath(directory)}/${name}`;
  try {
    return await open(below, DIRECTORY_ONLY);
  } catch (error) {
    if (isErrno(error, 'ELOOP', 'ENOTDIR')) throw refusal(path, `\`${name}\` on the way to it is not a directory`);
    if (!create || !isErrno(error, 'ENOENT')) throw fromErrno(error, `open ${path}`);
  }
  await mkdir(below, mode).catch((error: unknown) => {
    if (!isErrno(error, 'EEXIST')) throw fromErrno(error, `make the directory ${path}`);
  });
  return await openBelow(directory, name, path, false, mode);
}

function descriptorPath(handle: FileHandle): string {
  return `/proc/self/fd/${handle.fd}`;
}

function splitPath(path: string): { parent: string; name: string } {
  const slash = path.lastIndexOf('/');
  return { parent: path.slice(0, slash) || '/', name: path.slice(slash + 1) };
}

function cause(error: unknown): unknown {
  return error instanceof AgentError ? error.cause : error;
}

function refusal(path: string, problem: string): AgentError {
  return new AgentError('invalid_argument', `storages[].mount_point: ${JSON.stringify(path)} ${problem}`, {
    fields: { field: 'mount_point', path },
  });
}
