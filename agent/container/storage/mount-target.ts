// Mounting and unmounting on a path of the guest, reached without following a link (guest-path.ts).
import { MNT_DETACH, MS, UMOUNT_NOFOLLOW } from '../../../native/index.ts';
import { fromErrno, isErrno } from '../../errors.ts';
import { DEFAULT_PRIVATE_PATHS } from '../spec/context.ts';
import { checkSource } from '../spec/mounts.ts';
import { checkAbsolutePath, isWithin } from '../spec/paths.ts';
import { cause, pathRefusal, splitPath, withDirectory, withEntry } from './guest-path.ts';
import { leave, make } from './made-paths.ts';
import type { MountOptions } from './mount-options.ts';
import type { Detach, StorageDoor } from './storage.ts';

/** Nothing is mounted on these or below, except what is named below /dev and /run. */
const PROTECTED: readonly string[] = ['/proc', '/sys', '/usr', '/etc', '/bin', '/sbin', '/lib', '/lib64', '/run/berth'];
/** Nothing is mounted on these themselves. */
const PROTECTED_ROOTS: readonly string[] = ['/', '/dev', '/run', '/tmp', '/var'];

/** @throws invalid_argument for a mount point that is not absolute or would hide the guest's own */
export function checkMountPoint(path: string): string {
  if (path === '') throw pathRefusal(path, 'is empty');
  const normal = checkAbsolutePath(path, 'storages[].mount_point').replace(/^\/var\/run\//, '/run/');
  if (PROTECTED_ROOTS.includes(normal) || PROTECTED.some((kept) => isWithin(normal, kept) || isWithin(kept, normal))) {
    throw pathRefusal(path, 'belongs to the guest itself');
  }
  return normal;
}

/**
 * Mounts on `target`, which is made first: a directory, or a file where a file is bound.
 * @returns what takes the mount off again, and with it the directories that were made here, if they are empty then
 */
export async function mountOn(
  door: StorageDoor,
  target: string,
  { source, fstype }: { source: string; fstype: string },
  options: MountOptions,
): Promise<Detach> {
  const isBind = (options.flags & MS.BIND) !== 0;
  if (!isBind) return await mountSource(door, target, { source, fstype, isDirectory: true }, options);
  // The kernel would follow a link in the source as well; and a bind mount has no type of its own.
  const path = checkSource(source, 'storages[].source', DEFAULT_PRIVATE_PATHS);
  return await withEntry(path, (entry, isDirectory) =>
    mountSource(door, target, { source: entry, fstype: '', isDirectory }, options),
  );
}

interface Source {
  readonly source: string;
  readonly fstype: string;
  readonly isDirectory: boolean;
}

async function mountSource(
  door: StorageDoor,
  target: string,
  { source, fstype, isDirectory }: Source,
  { flags, propagation, data }: MountOptions,
): Promise<Detach> {
  await make(target, isDirectory ? 'directory' : 'file');
  try {
    await withEntry(target, (entry) => door.mount(source, entry, fstype, flags, data));
  } catch (error) {
    await leave(target).catch(() => {});
    throw fromErrno(error, `mount ${source} (${fstype}) on ${target}`, { mountPoint: target });
  }
  const isBind = (flags & MS.BIND) !== 0;
  // A bind mount takes its source's flags; its own need a second call (man 2 mount, "Remounting").
  const later = isBind && (flags & ~(MS.BIND | MS.REC)) !== 0 ? [flags | MS.REMOUNT, ...propagation] : propagation;
  try {
    for (const change of later) await withEntry(target, (entry) => door.mount('none', entry, '', change, ''));
  } catch (error) {
    await unmountFrom(door, target).catch(() => {});
    await leave(target).catch(() => {});
    throw fromErrno(error, `change the mount on ${target}`, { mountPoint: target });
  }
  return async () => {
    await unmountFrom(door, target);
    await leave(target);
  };
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
