// A root, of a container or of the guest, that file paths are resolved in: everything below it is reached by descriptor, as openat2(2)
// finds it with RESOLVE_IN_ROOT, so that no link leads out of it, whoever swaps one in meanwhile.
import { type BigIntStats, constants, fstat } from 'node:fs';
import { chmod, chown, type FileHandle, lstat, mkdir, open, readlink } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { Native } from '../../../native/index.ts';
import { AgentError, isErrno } from '../../errors.ts';
import { at, descriptorPath, type Place } from './confined-directory.ts';
import { fileError, quoted } from './file-error.ts';
import { type FileFacts, factsOf, typeOf } from './file-facts.ts';
import { FILES } from './files-lane.ts';
import { TemporaryNames } from './temporary-name.ts';

export type FilesDoor = Pick<
  Native,
  'openInRoot' | 'openBeneath' | 'close' | 'linkFd' | 'renameAt' | 'inotifyOpen' | 'inotifyAdd' | 'inotifyRemove'
> &
  Pick<Native, 'inotifyRead' | 'watchReadable'>;

/** Linux's O_PATH (asm-generic/fcntl.h), which Node has no name for: a place in the tree, neither read nor written. */
export const O_PATH = 0o10000000;
/** man 3 limits.h, PATH_MAX with its NUL. */
const MAX_PATH_BYTES = 4095;
const MAX_DEPTH = 256;

const statOf = promisify(fstat) as (fd: number, options: { bigint: true }) => Promise<BigIntStats>;

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export class FileRoot implements Disposable {
  readonly door: FilesDoor;
  readonly names: TemporaryNames;
  readonly #root: number;

  /**
   * @param root an O_PATH descriptor, this object's from now on
   * @param names for files that are written in it; not written down unless given
   */
  constructor(root: number, door: FilesDoor, names = new TemporaryNames()) {
    this.#root = root;
    this.door = door;
    this.names = names;
  }

  /** A place by its path, neither read nor written: an O_PATH descriptor, which the caller closes. @throws AgentError */
  async find(path: string, { noFollow = false, directory = false } = {}): Promise<number> {
    const names = namesOf(path);
    const flags = O_PATH | (noFollow ? constants.O_NOFOLLOW : 0) | (directory ? constants.O_DIRECTORY : 0);
    try {
      return await this.door.openInRoot(this.#root, `/${names.join('/')}`, flags);
    } catch (error) {
      throw fileError(error, 'open', path);
    }
  }

  /** A regular file, opened to be read; nothing else is ever opened. @throws failed_precondition for what is none */
  async openFile(path: string): Promise<FileHandle> {
    const place = await this.find(path);
    try {
      return await openRegular(place, path);
    } finally {
      this.door.close(place);
    }
  }

  /** @param flags of open(2), added to O_RDONLY | O_DIRECTORY */
  async openDirectory(path: string): Promise<FileHandle> {
    const place = await this.find(path, { directory: true });
    try {
      return await FILES.run(() => open(`${descriptorPath(place)}/.`, constants.O_RDONLY | constants.O_DIRECTORY));
    } catch (error) {
      throw fileError(error, 'open', path);
    } finally {
      this.door.close(place);
    }
  }

  /**
   * The name a path ends in, and its directory, which the caller closes.
   * @param makeParents whose the directories on the way are that are missing and made (0755); undefined makes none
   * @throws invalid_argument for the root itself; not_found
   */
  async place(path: string, makeParents?: Owner): Promise<Place> {
    const names = namesOf(path);
    const name = names.pop();
    if (name === undefined)
      throw new AgentError('invalid_argument', 'path: it is the root itself', { fields: { field: 'path' } });
    try {
      return { directory: await this.#openOrMake(names, makeParents), name };
    } catch (error) {
      throw fileError(error, 'open the directory of', path);
    }
  }

  /** A directory by its path, made with those above it if `makeParents` says whose they are then; an O_PATH descriptor, the caller's to close. */
  async directory(path: string, makeParents?: Owner): Promise<number> {
    try {
      return await this.#openOrMake(namesOf(path), makeParents);
    } catch (error) {
      throw fileError(error, 'open', path);
    }
  }

  /** Of a name in an open directory, a link not followed. */
  async statPlace({ directory, name }: Place, path: string): Promise<FileFacts> {
    try {
      const stats = await FILES.run(() => lstat(at(directory, name), { bigint: true }));
      const target = stats.isSymbolicLink() ? await FILES.run(() => readlink(at(directory, name))) : '';
      return factsOf(name, stats, target);
    } catch (error) {
      throw fileError(error, 'look at', path);
    }
  }

  async stat(path: string, noFollow: boolean): Promise<FileFacts> {
    const name = namesOf(path).at(-1);
    if (noFollow && name !== undefined) {
      const place = await this.place(path);
      try {
        return await this.statPlace(place, path);
      } finally {
        this.door.close(place.directory);
      }
    }
    const found = await this.find(path);
    try {
      return factsOf(name ?? '/', await FILES.run(() => statOf(found, { bigint: true })));
    } finally {
      this.door.close(found);
    }
  }

  [Symbol.dispose](): void {
    this.door.close(this.#root);
  }

  async #openOrMake(names: readonly string[], owner: Owner | undefined): Promise<number> {
    const flags = O_PATH | constants.O_DIRECTORY;
    const last = names.at(-1);
    try {
      return await this.door.openInRoot(this.#root, `/${names.join('/')}`, flags);
    } catch (error) {
      if (owner === undefined || last === undefined || !isErrno(error, 'ENOENT')) throw error;
    }
    const above = await this.#openOrMake(names.slice(0, -1), owner);
    try {
      const isOurs = await FILES.run(() => mkdir(at(above, last), { mode: 0o755 })).then(
        () => true,
        (error: unknown) => {
          if (isErrno(error, 'EEXIST')) return false;
          throw error;
        },
      );
      if (!isOurs) return await this.door.openInRoot(this.#root, `/${names.join('/')}`, flags);
      const made = await this.door.openBeneath(above, last, flags | constants.O_NOFOLLOW, 0, true);
      await FILES.run(async () => {
        await chown(descriptorPath(made), owner.uid, owner.gid);
        await chmod(descriptorPath(made), 0o755);
      });
      return made;
    } finally {
      this.door.close(above);
    }
  }
}

/**
 * Opens what an O_PATH descriptor stands for, if it is a regular file. The look comes before the opening, and at the same thing: opening
 * a pipe waits for its other end, and opening a device may do anything. O_NONBLOCK, because some files of /proc wait for something to read.
 */
export async function openRegular(place: number, path: string): Promise<FileHandle> {
  const stats = await FILES.run(() => statOf(place, { bigint: true }));
  if (!stats.isFile()) {
    const what = stats.isDirectory() ? 'a directory' : typeOf(stats) === 'symlink' ? 'a link' : 'a device, a pipe or a socket';
    throw new AgentError('failed_precondition', `${quoted(path)} is ${what}, not a regular file`, {
      fields: { field: 'path', path },
    });
  }
  try {
    return await FILES.run(() => open(descriptorPath(place), constants.O_RDONLY | constants.O_NONBLOCK));
  } catch (error) {
    throw fileError(error, 'open', path);
  }
}

/** The names that a path is made of. @throws invalid_argument naming the field */
export function namesOf(path: string): string[] {
  if (!path.startsWith('/')) throw refusal(`${quoted(path)} is not absolute`);
  if (path.includes('\0')) throw refusal(`${quoted(path)} holds a NUL character`);
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) throw refusal(`more than ${MAX_PATH_BYTES} bytes`);
  const names = path.split('/').filter((name) => name !== '' && name !== '.');
  // Behind a link it would not mean what it says, neither to who asks nor to a policy.
  if (names.includes('..')) throw refusal(`${quoted(path)} holds a \`..\` component`);
  if (names.length > MAX_DEPTH) throw refusal(`more than ${MAX_DEPTH} components`);
  return names;
}

function refusal(problem: string): AgentError {
  return new AgentError('invalid_argument', `path: ${problem}`, { fields: { field: 'path' } });
}
