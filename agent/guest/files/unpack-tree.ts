// Members of a tar archive put below a directory. Each is placed by descriptor, beneath the directory and nowhere else, whatever links the
// archive or anybody else puts on the way; what has its name is replaced by it as a whole, a directory never by something else.
import { constants } from 'node:fs';
import { chmod, chown, lchown, mkdir, symlink, unlink } from 'node:fs/promises';
import { AgentError, isErrno } from '../../errors.ts';
import { faultPoint } from '../../fault-point.ts';
import { at, descriptorPath, type Place } from './confined-directory.ts';
import { fileError, quoted } from './file-error.ts';
import { type FilesDoor, O_PATH, type Owner, openRegular } from './file-root.ts';
import { FILES } from './files-lane.ts';
import { NewFile } from './new-file.ts';
import type { TarEntry } from './tar/entry.ts';
import type { TarMember } from './tar/reader.ts';
import { type TemporaryName, TemporaryNames } from './temporary-name.ts';

const MAX_DEPTH = 128;
const MAX_NAME_BYTES = 4095;
const SET_ID = 0o6000;
const DIRECTORY = O_PATH | constants.O_DIRECTORY;

export interface UnpackOptions {
  /** Whose everything is; as in the archive unless given. */
  readonly owner?: Owner;
  readonly keepSetId: boolean;
  /** 0 for as many as come. */
  readonly maxEntries: number;
  readonly maxBytes: number;
  /** Default: not written down. */
  readonly names?: TemporaryNames;
}

interface MemberPlace extends Place {
  /** Below the directory that is unpacked into. */
  readonly path: string;
}

export class TreeUnpacker {
  entries = 0;
  bytes = 0;
  readonly #base: number;
  readonly #door: FilesDoor;
  readonly #options: UnpackOptions;
  readonly #names: TemporaryNames;
  /** The directory of the last member: the next one mostly has the same. */
  #last: { readonly names: string; readonly directory: number } | undefined;

  /** @param base descriptor of the directory, the caller's */
  constructor(base: number, door: FilesDoor, options: UnpackOptions) {
    this.#base = base;
    this.#door = door;
    this.#options = options;
    this.#names = options.names ?? new TemporaryNames();
  }

  /** @throws AgentError naming the member, before anything of it is there */
  async unpack({ entry, content }: TarMember): Promise<void> {
    const { maxEntries, maxBytes } = this.#options;
    if (maxEntries > 0 && this.entries >= maxEntries) throw tooMuch('members', maxEntries);
    if (maxBytes > 0 && this.bytes + entry.size > maxBytes) throw tooMuch('bytes', maxBytes);
    const names = memberNames(entry.name, 'name');
    const name = names.pop();
    try {
      // The directory itself stays as it is.
      if (name !== undefined)
        await this.#put(entry, content, { directory: await this.#parent(names), name, path: [...names, name].join('/') });
      else if (entry.type !== 'directory') throw refusal(entry.name, 'names the directory itself');
    } catch (error) {
      throw fileError(error, 'unpack', text(entry.name));
    }
    this.entries++;
    this.bytes += entry.size;
  }

  close(): void {
    if (this.#last !== undefined) this.#door.close(this.#last.directory);
    this.#last = undefined;
  }

  async #put(entry: TarEntry, content: AsyncIterable<Buffer>, place: MemberPlace): Promise<void> {
    switch (entry.type) {
      case 'file':
        return await this.#putFile(entry, content, place);
      case 'directory':
        return await this.#putDirectory(entry, place);
      case 'symlink':
        return await this.#putSymlink(entry, place);
      case 'link':
        return await this.#putLink(entry, place);
      default:
        throw refusal(entry.name, 'is a device, a pipe, a sparse file or of an unknown kind');
    }
  }

  async #putFile(entry: TarEntry, content: AsyncIterable<Buffer>, place: Place): Promise<void> {
    const file = await NewFile.begin(place, { door: this.#door, names: this.#names });
    try {
      let offset = 0;
      for await (const data of content) {
        await file.write(data, offset);
        offset += data.length;
      }
      const modifiedNs = BigInt(Math.trunc(entry.modified * 1000)) * 1_000_000n;
      await file.publish({ ...this.#owner(entry), mode: this.#mode(entry), modifiedNs });
    } finally {
      await file.close();
    }
  }

  /** One that is there stays as it is, and so does a link to one beneath (`lib` to `usr/lib`). */
  async #putDirectory(entry: TarEntry, { directory, name, path }: MemberPlace): Promise<void> {
    const isOurs = await FILES.run(() => mkdir(at(directory, name), { mode: 0o700 })).then(
      () => true,
      (error: unknown) => {
        if (isErrno(error, 'EEXIST')) return false;
        throw error;
      },
    );
    if (!isOurs) {
      this.#door.close(await this.#open(path, DIRECTORY));
      return;
    }
    const opened = await this.#door.openBeneath(directory, name, DIRECTORY | constants.O_NOFOLLOW, 0, true);
    try {
      const { uid, gid } = this.#owner(entry);
      await FILES.run(async () => {
        await chown(descriptorPath(opened), uid, gid);
        await chmod(descriptorPath(opened), this.#mode(entry));
      });
    } finally {
      this.#door.close(opened);
    }
  }

  /** Its target is taken as it is: it means something to programs there only. */
  async #putSymlink(entry: TarEntry, place: Place): Promise<void> {
    if (entry.linkName.length === 0 || entry.linkName.length > MAX_NAME_BYTES)
      throw refusal(entry.name, 'is a link without a target');
    const { uid, gid } = this.#owner(entry);
    await this.#rename(place, async (temporary) => {
      const path = at(temporary.directory, temporary.name);
      await FILES.run(() => symlink(Buffer.from(entry.linkName), path));
      await FILES.run(() => lchown(path, uid, gid));
    });
  }

  /** Only to a regular file beneath the directory. */
  async #putLink(entry: TarEntry, place: Place): Promise<void> {
    const names = memberNames(entry.linkName, 'target');
    const target = await this.#open(names.join('/') || '.', O_PATH | constants.O_NOFOLLOW);
    try {
      // Opened for the check alone: the link is made to the place.
      await (await openRegular(target, text(entry.linkName))).close();
      await this.#rename(place, ({ directory, name }) => this.#door.linkFd(target, directory, name));
    } finally {
      this.#door.close(target);
    }
  }

  /** What `make` makes under the name it gets gets the place's. */
  async #rename(place: Place, make: (temporary: TemporaryName) => Promise<void>): Promise<void> {
    const temporary = await this.#names.beside(place);
    const path = at(temporary.directory, temporary.name);
    try {
      await make(temporary);
      faultPoint('unpack:linked');
      await this.#door.renameAt(temporary.directory, temporary.name, place.directory, place.name);
    } finally {
      // Of two names of one file rename(2) leaves both.
      await FILES.run(() => unlink(path)).catch((error: unknown) => {
        if (!isErrno(error, 'ENOENT')) throw error;
      });
      temporary.forget();
    }
  }

  /** Stays open until another is asked for. */
  async #parent(names: readonly string[]): Promise<number> {
    const path = names.join('/');
    if (this.#last?.names === path) return this.#last.directory;
    const directory = await this.#openOrMake(names);
    this.close();
    this.#last = { names: path, directory };
    return directory;
  }

  async #openOrMake(names: readonly string[]): Promise<number> {
    const name = names.at(-1);
    try {
      return await this.#open(names.join('/') || '.', DIRECTORY);
    } catch (error) {
      if (name === undefined || !isErrno(error, 'ENOENT')) throw error;
    }
    const above = await this.#openOrMake(names.slice(0, -1));
    try {
      await FILES.run(() => mkdir(at(above, name), { mode: 0o755 })).catch((error: unknown) => {
        if (!isErrno(error, 'EEXIST')) throw error;
      });
    } finally {
      this.#door.close(above);
    }
    return await this.#open(names.join('/'), DIRECTORY);
  }

  #open(path: string, flags: number): Promise<number> {
    return this.#door.openBeneath(this.#base, path, flags, 0);
  }

  #owner({ uid, gid }: TarEntry): Owner {
    return this.#options.owner ?? { uid, gid };
  }

  #mode({ mode }: TarEntry): number {
    return this.#options.keepSetId ? mode : mode & ~SET_ID;
  }
}

/** @throws invalid_argument for an absolute name, one with `..`, and one that is no text */
function memberNames(name: Buffer, what: 'name' | 'target'): string[] {
  const path = name.toString();
  if (!Buffer.from(path).equals(name)) throw refusal(name, `has a ${what} that is not UTF-8`);
  if (name.length === 0 || name.length > MAX_NAME_BYTES) throw refusal(name, `has a ${what} of ${name.length} bytes`);
  if (name.includes(0)) throw refusal(name, `has a ${what} that holds a NUL character`);
  if (path.startsWith('/')) throw refusal(name, `has a ${what} that is absolute`);
  const names = path.split('/').filter((part) => part !== '' && part !== '.');
  if (names.includes('..')) throw refusal(name, `has a ${what} that holds \`..\``);
  if (names.length > MAX_DEPTH) throw refusal(name, `has a ${what} of more than ${MAX_DEPTH} components`);
  return names;
}

function refusal(name: Buffer, why: string): AgentError {
  return new AgentError('invalid_argument', `member ${quoted(text(name))} ${why}`, {
    fields: { field: 'data', member: text(name) },
  });
}

function tooMuch(limit: 'members' | 'bytes', bound: number): AgentError {
  return new AgentError('resource_exhausted', `the archive has more than the ${bound} ${limit} that were asked for`, {
    fields: { limit: `tar-${limit}`, bound },
  });
}

function text(name: Buffer): string {
  return name.toString();
}
