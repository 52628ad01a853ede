// One file on its way into the guest: bytes collect under a name of their own and get the file's name when all are there, so
// that a reader sees the old file or the whole new one, and two files never share a temporary name.
import { constants } from 'node:fs';
import { type FileHandle, open, rename } from 'node:fs/promises';
import { AgentError, isErrno } from '../../errors.ts';
import { faultPoint } from '../../fault-point.ts';
import { addRange, type ByteRange, covers } from './byte-ranges.ts';
import { at, type Owner, type Place } from './confined-directory.ts';
import { removeEntry } from './remove-entry.ts';
import type { TemporaryName, TemporaryNames } from './temporary-name.ts';

/** Pieces that do not touch each other; clients send them in order. */
const MAX_RANGES = 1024;

export interface UploadHost {
  readonly names: TemporaryNames;
  readonly close: (fd: number) => void;
}

export class Upload {
  readonly size: number;
  readonly #place: Place;
  readonly #temporary: TemporaryName;
  readonly #file: FileHandle;
  readonly #closeDirectory: () => void;
  #ranges: ByteRange[] = [];
  #published = false;

  private constructor(size: number, place: Place, temporary: TemporaryName, file: FileHandle, closeDirectory: () => void) {
    this.size = size;
    this.#place = place;
    this.#temporary = temporary;
    this.#file = file;
    this.#closeDirectory = closeDirectory;
  }

  /** @param place its directory is the upload's from now on, and closed by it */
  static async begin(place: Place, size: number, { names, close }: UploadHost): Promise<Upload> {
    let temporary: TemporaryName | undefined;
    try {
      temporary = await names.beside(place);
      faultPoint('copy:recorded');
      const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
      const file = await open(at(temporary.directory, temporary.name), flags, 0o600);
      faultPoint('copy:begun');
      return new Upload(size, place, temporary, file, () => close(place.directory));
    } catch (error) {
      temporary?.forget();
      close(place.directory);
      throw error;
    }
  }

  /** Whether every byte is there. */
  get complete(): boolean {
    return covers(this.#ranges, this.size);
  }

  async write(data: Uint8Array, offset: number): Promise<void> {
    const ranges = addRange(this.#ranges, { from: offset, to: offset + data.length });
    if (ranges.length > MAX_RANGES) {
      throw new AgentError('resource_exhausted', `offset: more than ${MAX_RANGES} pieces of one file apart from each other`, {
        fields: { limit: 'file-pieces' },
      });
    }
    for (let done = 0; done < data.length; ) {
      done += (await this.#file.write(data, done, data.length - done, offset + done)).bytesWritten;
    }
    faultPoint('copy:written');
    this.#ranges = ranges;
  }

  /** Gives the file its owner, mode and name; what had the name before is gone, a tree of directories too. */
  async publish({ uid, gid }: Owner, mode: number): Promise<void> {
    // The owner first: chown(2) clears set-user-ID and set-group-ID.
    if (uid !== -1 || gid !== -1) await this.#file.chown(uid, gid);
    await this.#file.chmod(mode);
    await renameOver(this.#temporary, this.#place);
    faultPoint('copy:published');
    this.#published = true;
    this.#temporary.forget();
  }

  /** Lets go of everything; an upload that is not published leaves nothing. */
  async close(): Promise<void> {
    try {
      await this.#file.close();
      if (!this.#published) await removeEntry(this.#temporary);
      this.#temporary.forget();
    } finally {
      this.#closeDirectory();
    }
  }
}

/** Both in one directory. A directory in the way is removed first, as rename(2) would refuse it. */
export async function renameOver(from: Place, to: Place): Promise<void> {
  const move = () => rename(at(from.directory, from.name), at(to.directory, to.name));
  try {
    await move();
  } catch (error) {
    if (!isErrno(error, 'EISDIR', 'ENOTEMPTY', 'EEXIST')) throw error;
    await removeEntry(to);
    await move();
  }
}
