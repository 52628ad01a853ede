// Paths of the guest as open descriptors. A symbolic link on the way is refused, so a container that can write to a shared
// directory can't turn a mount elsewhere (CVE-2020-2026 of Kata). Each look is the addon's, on a thread of its own: below a
// file system that does not answer it hangs there, not on one of libuv's few.
import { constants } from 'node:fs';
import { mkdir, open, rmdir, unlink } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { native } from '../../../native/index.ts';
import { AgentError, fromErrno, isErrno } from '../../errors.ts';

/** Linux's O_PATH (asm-generic/fcntl.h), which Node has no name for: a place in the tree, neither read nor written. */
export const O_PATH = 0o10000000;
const DIRECTORY_ONLY = O_PATH | constants.O_DIRECTORY;
const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

const MAKE_ATTEMPTS = 8;
const BUSY_ATTEMPTS = 50;
const BUSY_RETRY_MS = 20;

export interface Making {
  /** Makes what is missing on the way, and the last with `mode`. */
  readonly create?: boolean;
  readonly mode?: number;
  /** Gets the paths that were made. */
  readonly made?: string[];
}

/**
 * Runs `use` with a path that names the directory by an open descriptor, whatever happens to its name meanwhile.
 * @throws invalid_argument where a link or a file is in the way; not_found
 */
export async function withDirectory<T>(
  path: string,
  { create = false, mode = 0o755, made = [] }: Making,
  use: (directory: string) => Promise<T>,
): Promise<T> {
  return await withRoot(async (root) => {
    const names = path.split('/').filter((name) => name !== '');
    const fd = await openDirectory(root, names, path, create ? { mode, made } : undefined);
    return await using(fd, use);
  });
}

/** As `withDirectory`, for whatever is there, file or directory; `isDirectory` is found out without asking its file system. */
export async function withEntry<T>(path: string, use: (entry: string, isDirectory: boolean) => Promise<T>): Promise<T> {
  return await withRoot(async (root) => {
    const { fd, isDirectory } = await openEntry(root, path);
    return await using(fd, (entry) => use(entry, isDirectory));
  });
}

/** Makes an empty file and the directories above it. @returns what was not there before, the outermost first */
export async function makeFile(path: string): Promise<string[]> {
  const { parent, name } = splitPath(path);
  const made = await makeDirectory(parent);
  const isNew = await withDirectory(parent, {}, async (directory) => {
    try {
      const file = await open(`${directory}/${name}`, NEW_FILE, 0o644);
      await file.close();
      return true;
    } catch (error) {
      if (isErrno(error, 'EEXIST')) return false;
      throw fromErrno(error, `make the file ${path}`);
    }
  });
  return isNew ? [...made, path] : made;
}

/** Makes the directory and those above it. @returns what was not there before, the outermost first */
export async function makeDirectory(path: string, mode = 0o755): Promise<string[]> {
  const made: string[] = [];
  for (let attempt = 1; ; attempt++) {
    try {
      await withDirectory(path, { create: true, mode, made }, async () => {});
      return made;
    } catch (error) {
      // Somebody else may remove what they had made, and what is empty yet, from under it.
      if (attempt === MAKE_ATTEMPTS || !isErrno(cause(error), 'ENOENT')) throw error;
    }
  }
}

/** Removes a file, or a directory if it is empty. @returns whether it is gone: what is in use is left */
export async function removeEmpty(path: string, attempts = BUSY_ATTEMPTS): Promise<boolean> {
  const { parent, name } = splitPath(path);
  try {
    await withDirectory(parent, {}, async (directory) => {
      try {
        await rmdir(`${directory}/${name}`);
      } catch (error) {
        if (!isErrno(error, 'ENOTDIR')) throw error;
        await unlink(`${directory}/${name}`);
      }
    });
    return true;
  } catch (error) {
    if (isErrno(cause(error), 'ENOENT')) return true;
    // A container that is being made may for a moment have a copy of our mounts in a recursive bind.
    if (isErrno(cause(error), 'EBUSY') && attempts > 1) {
      await sleep(BUSY_RETRY_MS);
      return await removeEmpty(path, attempts - 1);
    }
    if (isErrno(cause(error), 'ENOTEMPTY', 'EBUSY', 'EROFS')) return false;
    throw fromErrno(error, `remove ${path}`);
  }
}

export function splitPath(path: string): { parent: string; name: string } {
  const slash = path.lastIndexOf('/');
  return { parent: path.slice(0, slash) || '/', name: path.slice(slash + 1) };
}

/** What the kernel said, behind what was said of it. */
export function cause(error: unknown): unknown {
  return error instanceof AgentError ? error.cause : error;
}

export function pathRefusal(path: string, problem: string, reason?: unknown): AgentError {
  return new AgentError('invalid_argument', `storages[].mount_point: ${JSON.stringify(path)} ${problem}`, {
    cause: reason,
    fields: { field: 'mount_point', path },
  });
}

async function openDirectory(
  root: number,
  names: readonly string[],
  path: string,
  making: { mode: number; made: string[] } | undefined,
): Promise<number> {
  try {
    return await native().openBeneath(root, names.join('/') || '.', DIRECTORY_ONLY, 0, true);
  } catch (error) {
    if (making === undefined || names.length === 0 || !isErrno(error, 'ENOENT')) throw refused(error, path);
  }
  const above = await openDirectory(root, names.slice(0, -1), path, { ...making, mode: 0o755 });
  try {
    await using(above, (parent) => mkdir(`${parent}/${names[names.length - 1]}`, making.mode));
    making.made.push(`/${names.join('/')}`);
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw fromErrno(error, `make the directory ${path}`);
  }
  return await openDirectory(root, names, path, undefined);
}

async function openEntry(root: number, path: string): Promise<{ fd: number; isDirectory: boolean }> {
  const relative = path.slice(1) || '.';
  try {
    return { fd: await native().openBeneath(root, relative, DIRECTORY_ONLY, 0, true), isDirectory: true };
  } catch (error) {
    if (!isErrno(error, 'ENOTDIR')) throw refused(error, path);
  }
  try {
    return { fd: await native().openBeneath(root, relative, O_PATH, 0, true), isDirectory: false };
  } catch (error) {
    throw refused(error, path);
  }
}

function refused(error: unknown, path: string): AgentError {
  if (isErrno(error, 'ELOOP')) return pathRefusal(path, 'has a symbolic link on the way to it, so it is not taken', error);
  if (isErrno(error, 'ENOTDIR')) return pathRefusal(path, 'has something on the way to it that is not a directory', error);
  return fromErrno(error, `open ${path}`, { path });
}

async function withRoot<T>(use: (root: number) => Promise<T>): Promise<T> {
  const root = await open('/', DIRECTORY_ONLY);
  try {
    return await use(root.fd);
  } finally {
    await root.close();
  }
}

async function using<T>(fd: number, use: (path: string) => Promise<T>): Promise<T> {
  try {
    return await use(`/proc/self/fd/${fd}`);
  } finally {
    native().close(fd);
  }
}
