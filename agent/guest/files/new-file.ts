// A file that is being written and has no name yet: it gets its name when all of it is there, so that a reader sees the old file or the whole
// new one, and what is given up, by an error or by the agent's death, leaves nothing (man 2 open, O_TMPFILE).
import { constants } from 'node:fs';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { isErrno } from '../../errors.ts';
import { faultPoint } from '../../fault-point.ts';
import { at, descriptorPath, type Place } from './confined-directory.ts';
import type { FilesDoor, Owner } from './file-root.ts';
import { FILES } from './files-lane.ts';
import type { TemporaryName, TemporaryNames } from './temporary-name.ts';

/** Linux's __O_TMPFILE (asm-generic/fcntl.h), which counts with O_DIRECTORY only. */
const O_TMPFILE = 0o20000000 | constants.O_DIRECTORY;

export interface Publishing extends Owner {
  readonly mode: number;
  /** @throws EEXIST instead of replacing what is there */
  readonly noReplace?: boolean;
  /** Return only when file and name are on the disk. */
  readonly durable?: boolean;
  /** ns since 1970; as it comes unless given. */
  readonly modifiedNs?: bigint;
}

export interface NewFileHost {
  readonly door: FilesDoor;
  readonly names: TemporaryNames;
}

export class NewFile {
  readonly #place: Place;
  readonly #file: FileHandle;
  readonly #host: NewFileHost;
  /** Where the file system knows no files without a name. */
  #temporary: TemporaryName | undefined;

  private constructor(place: Place, file: FileHandle, host: NewFileHost, temporary: TemporaryName | undefined) {
    this.#place = place;
    this.#file = file;
    this.#host = host;
    this.#temporary = temporary;
  }

  /** @param place stays the caller's, open for as long as this is in use */
  static async begin(place: Place, host: NewFileHost): Promise<NewFile> {
    return await FILES.run(async () => {
      try {
        const file = await open(`${descriptorPath(place.directory)}/.`, O_TMPFILE | constants.O_WRONLY, 0o600);
        faultPoint('write:begun');
        return new NewFile(place, file, host, undefined);
      } catch (error) {
        if (!isErrno(error, 'EOPNOTSUPP', 'EISDIR', 'EINVAL', 'ENOENT')) throw error;
      }
      const temporary = await host.names.beside(place);
      const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
      try {
        return new NewFile(place, await open(at(temporary.directory, temporary.name), flags, 0o600), host, temporary);
      } catch (error) {
        temporary.forget();
        throw error;
      }
    });
  }

  async write(data: Uint8Array, offset: number): Promise<void> {
    for (let done = 0; done < data.length; ) {
      const written = await FILES.run(() => this.#file.write(data, done, data.length - done, offset + done));
      done += written.bytesWritten;
    }
    faultPoint('write:written');
  }

  /** Gives it owner, mode and name. What has the name meanwhile is replaced, a link itself and not what it leads to. @throws EISDIR */
  async publish({ uid, gid, mode, noReplace = false, durable = false, modifiedNs }: Publishing): Promise<void> {
    await FILES.run(async () => {
      // The owner first: chown(2) clears set-user-ID and set-group-ID.
      await this.#file.chown(uid, gid);
      await this.#file.chmod(mode);
      if (modifiedNs !== undefined) await this.#file.utimes(Number(modifiedNs) / 1e9, Number(modifiedNs) / 1e9);
      if (durable) await this.#file.sync();
    });
    await this.#name(noReplace);
    faultPoint('write:published');
    this.#temporary?.forget();
    this.#temporary = undefined;
    if (durable) await syncDirectory(this.#place.directory);
  }

  /** Lets go of it; one that is not published leaves nothing. */
  async close(): Promise<void> {
    try {
      await this.#file.close();
    } finally {
      const temporary = this.#temporary;
      if (temporary !== undefined) {
        await FILES.run(() => unlink(at(temporary.directory, temporary.name)));
        temporary.forget();
      }
    }
  }

  async #name(noReplace: boolean): Promise<void> {
    const { directory, name } = this.#place;
    if (this.#temporary === undefined) {
      try {
        return await this.#host.door.linkFd(this.#file.fd, directory, name);
      } catch (error) {
        if (noReplace || !isErrno(error, 'EEXIST')) throw error;
      }
      const temporary = await this.#host.names.beside(this.#place);
      try {
        await this.#host.door.linkFd(this.#file.fd, directory, temporary.name);
      } catch (error) {
        temporary.forget();
        throw error;
      }
      this.#temporary = temporary;
      faultPoint('write:linked');
    }
    await this.#host.door.renameAt(directory, this.#temporary.name, directory, name, noReplace);
  }
}

async function syncDirectory(directory: number): Promise<void> {
  await FILES.run(async () => {
    await using handle = await open(`${descriptorPath(directory)}/.`, constants.O_RDONLY | constants.O_DIRECTORY);
    await handle.sync();
  });
}
