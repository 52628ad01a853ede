// A directory whose content belongs to others: everything below it is reached by descriptor (openat2, RESOLVE_BENEATH), so
// that no link planted there leads out of it (CVE-2026-41326 of Kata).
import { constants } from 'node:fs';
import { chmod, chown, mkdir, open } from 'node:fs/promises';
import type { Native } from '../../../native/index.ts';
import { AgentError, fromErrno, isErrno } from '../../errors.ts';

export type ConfinedDoor = Pick<Native, 'openBeneath' | 'close'>;

/** Linux's O_PATH (asm-generic/fcntl.h), which Node has no name for: a place in the tree, neither read nor written. */
const O_PATH = 0o10000000;
const DIRECTORY = O_PATH | constants.O_DIRECTORY;
/** man 3 limits.h, PATH_MAX with its NUL. */
const MAX_PATH_BYTES = 4095;
/** Of directories in each other. */
const MAX_DEPTH = 128;

export interface Owner {
  /** -1 leaves it. */
  readonly uid: number;
  readonly gid: number;
}

/** Of directories that are missing on the way; only the last of them gets the owner. */
export interface MissingParents extends Owner {
  readonly mode: number;
}

/** A name in an open directory. */
export interface Place {
  /** Descriptor of the directory; whoever asked for the place closes it. */
  readonly directory: number;
  readonly name: string;
}

export class ConfinedDirectory {
  readonly #root: string;
  readonly #door: ConfinedDoor;

  /** @param root absolute and trusted down to itself */
  constructor(root: string, door: ConfinedDoor) {
    this.#root = root;
    this.#door = door;
  }

  /** The names below the root that a path is made of. @throws failed_precondition for a path outside, invalid_argument */
  names(path: string): string[] {
    if (!path.startsWith(`${this.#root}/`)) {
      throw refusal('failed_precondition', `removing "${this.#root}" prefix from ${quoted(path)}: it is not below it`);
    }
    const names = path
      .slice(this.#root.length)
      .split('/')
      .filter((name) => name !== '' && name !== '.');
    const [last] = names.slice(-1);
    if (last === undefined) throw refusal('invalid_argument', `path: ${quoted(path)} is the directory itself`);
    if (names.includes('..')) throw refusal('failed_precondition', `path: ${quoted(path)} holds a \`..\` component`);
    if (path.includes('\0')) throw refusal('invalid_argument', `path: ${quoted(path)} holds a NUL character`);
    if (names.length > MAX_DEPTH) throw refusal('invalid_argument', `path: more than ${MAX_DEPTH} components`);
    if (Buffer.byteLength(path) > MAX_PATH_BYTES) throw refusal('invalid_argument', `path: more than ${MAX_PATH_BYTES} bytes`);
    return names;
  }

  /**
   * The place of a path below the root, its directory open and made if it is missing.
   * @throws failed_precondition where a link leads out or something else than a directory is in the way
   */
  async place(path: string, missing: MissingParents): Promise<Place> {
    const names = this.names(path);
    const parents = names.slice(0, -1);
    await mkdir(this.#root, { recursive: true, mode: 0o755 });
    const root = await open(this.#root, constants.O_DIRECTORY | constants.O_NOFOLLOW);
    try {
      const directory = await this.#openOrMake(root.fd, parents, path, missing);
      return { directory, name: names[names.length - 1]! };
    } finally {
      await root.close();
    }
  }

  async #openOrMake(root: number, parents: readonly string[], path: string, missing: MissingParents): Promise<number> {
    const found = await this.#openDirectory(root, parents, path);
    if (found !== undefined) return found;
    const above = await this.#openOrMake(root, parents.slice(0, -1), path, { ...missing, uid: -1, gid: -1 });
    let isOurs = true;
    try {
      await mkdir(at(above, parents[parents.length - 1]!), { mode: missing.mode });
    } catch (error) {
      if (!isErrno(error, 'EEXIST')) throw fromErrno(error, `make a directory for ${path}`, { path });
      isOurs = false;
    } finally {
      this.#door.close(above);
    }
    const made = await this.#openDirectory(root, parents, path);
    if (made === undefined) throw refusal('failed_precondition', `path: a link on the way to ${quoted(path)} leads nowhere`);
    if (!isOurs) return made;
    try {
      await setOwner(descriptorPath(made), missing);
      await chmod(descriptorPath(made), missing.mode);
      return made;
    } catch (error) {
      this.#door.close(made);
      throw fromErrno(error, `make a directory for ${path}`, { path });
    }
  }

  /** Undefined when it is not there. */
  async #openDirectory(root: number, names: readonly string[], path: string): Promise<number | undefined> {
    try {
      return await this.#door.openBeneath(root, names.join('/') || '.', DIRECTORY, 0);
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return undefined;
      if (isErrno(error, 'EXDEV', 'ELOOP')) {
        throw refusal('failed_precondition', `path: a link on the way to ${quoted(path)} leads out of ${this.#root}`, error);
      }
      if (isErrno(error, 'ENOTDIR')) {
        throw refusal('failed_precondition', `path: something on the way to ${quoted(path)} is not a directory`, error);
      }
      throw fromErrno(error, `open the directory of ${path}`, { path });
    }
  }
}

/** A path that names an entry of an open directory, whatever becomes of the directory's own name. */
export function at(directory: number, name: string): string {
  return `${descriptorPath(directory)}/${name}`;
}

export function descriptorPath(descriptor: number): string {
  return `/proc/self/fd/${descriptor}`;
}

/** Follows a link. */
export async function setOwner(path: string, { uid, gid }: Owner): Promise<void> {
  if (uid !== -1 || gid !== -1) await chown(path, uid, gid);
}

function refusal(code: 'failed_precondition' | 'invalid_argument', message: string, cause?: unknown): AgentError {
  return new AgentError(code, message, { cause, fields: { field: 'path' } });
}

function quoted(path: string): string {
  return JSON.stringify(path.length > 200 ? `${path.slice(0, 200)}...` : path);
}
