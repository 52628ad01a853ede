// Files that the host copies into the guest, for containers to mount: directories, links, and files piece by piece
// (kata-agent.md §3.13).
// INVARIANTS: the work on one path is done one piece after the other; an upload that fails or is given up leaves nothing.

import { constants } from 'node:fs';
import { chmod, lchown, mkdir, open, symlink } from 'node:fs/promises';
import { AgentError, fromErrno, isErrno } from '../../errors.ts';
import { faultPoint } from '../../fault-point.ts';
import { Lane } from '../lane.ts';
import { at, ConfinedDirectory, type ConfinedDoor, descriptorPath, type Place, setOwner } from './confined-directory.ts';
import { type CopyRequest, checkRequest, fileType } from './copy-request.ts';
import { removeEntry } from './remove-entry.ts';
import { TemporaryNames } from './temporary-name.ts';
import { renameOver, Upload } from './upload.ts';

/** Files under way at a time; each holds two fds. */
const MAX_UPLOADS = 64;
/** A client that has not sent the next piece by then won't. */
const IDLE_MS = 60_000;
/** Copies at a time, each a step or two of file operations; a share whose host is stuck holds them all. */
const WIDTH = 3;

interface Entry {
  upload: Upload | undefined;
  /** The last step begun on this path; never rejects. */
  turn: Promise<void>;
  /** Steps that have not ended. */
  pending: number;
  idle: NodeJS.Timeout | undefined;
}

export interface FileCopierOptions {
  /** Nothing outside it is touched. */
  root: string;
  door: ConfinedDoor;
  /** Default: not written down. */
  names?: TemporaryNames;
  idleMs?: number;
}

export class FileCopier {
  readonly #directory: ConfinedDirectory;
  readonly #door: ConfinedDoor;
  readonly #names: TemporaryNames;
  readonly #idleMs: number;
  readonly #entries = new Map<string, Entry>();
  readonly #lane = new Lane({ name: 'file-copies', width: WIDTH, maxWaiting: MAX_UPLOADS });

  constructor({ root, door, names = new TemporaryNames(), idleMs = IDLE_MS }: FileCopierOptions) {
    this.#directory = new ConfinedDirectory(root, door);
    this.#door = door;
    this.#names = names;
    this.#idleMs = idleMs;
  }

  /** @throws invalid_argument naming the field; failed_precondition for what lies outside or a link leads out to; resource_exhausted */
  async copy(request: CopyRequest): Promise<void> {
    checkRequest(request);
    const key = this.#directory.names(request.path).join('/');
    const entry = this.#entries.get(key) ?? this.#newEntry(key);
    clearTimeout(entry.idle);
    entry.pending++;
    const done = entry.turn.then(() => this.#lane.run(() => this.#step(entry, request)));
    entry.turn = done
      .catch(() => {})
      .then(() => {
        entry.pending--;
        this.#rest(key, entry);
      });
    try {
      await done;
    } catch (error) {
      throw fromErrno(error, `copy to ${request.path}`, { path: request.path });
    }
  }

  #newEntry(key: string): Entry {
    if (this.#entries.size >= MAX_UPLOADS) {
      throw new AgentError('resource_exhausted', `more than ${MAX_UPLOADS} files are being copied`, {
        fields: { limit: 'file-copies' },
      });
    }
    const entry: Entry = { upload: undefined, turn: Promise.resolve(), pending: 0, idle: undefined };
    this.#entries.set(key, entry);
    return entry;
  }

  /** Nothing is going on: an entry without an upload goes, one with waits for its next piece. */
  #rest(key: string, entry: Entry): void {
    if (entry.pending > 0) return;
    if (entry.upload === undefined) {
      this.#entries.delete(key);
      return;
    }
    entry.idle = setTimeout(() => {
      entry.pending++;
      entry.turn = this.#lane
        .run(() => this.#giveUp(entry))
        .catch(() => {})
        .then(() => {
          entry.pending--;
          this.#rest(key, entry);
        });
    }, this.#idleMs);
    entry.idle.unref();
  }

  async #step(entry: Entry, request: CopyRequest): Promise<void> {
    const type = fileType(request.fileMode);
    if (type === 'file') return await this.#copyPiece(entry, request);
    const place = await this.#directory.place(request.path, parentsOf(request));
    try {
      await (type === 'directory' ? makeDirectory(place, request) : makeLink(place, request, this.#names));
    } finally {
      this.#door.close(place.directory);
    }
  }

  async #copyPiece(entry: Entry, request: CopyRequest): Promise<void> {
    const { path, fileSize, offset, data } = request;
    if (offset === 0) await this.#giveUp(entry);
    if (entry.upload !== undefined && entry.upload.size !== fileSize) {
      throw new AgentError('invalid_argument', `file_size: ${fileSize}, but ${entry.upload.size} with the piece before`, {
        fields: { field: 'file_size', path },
      });
    }
    try {
      const host = { names: this.#names, close: this.#door.close };
      entry.upload ??= await Upload.begin(await this.#directory.place(path, parentsOf(request)), fileSize, host);
      await entry.upload.write(data, offset);
      if (!entry.upload.complete) return;
      await entry.upload.publish(request, request.fileMode & 0o7777);
    } catch (error) {
      await this.#giveUp(entry).catch(() => {});
      throw error;
    }
    await this.#giveUp(entry);
  }

  async #giveUp(entry: Entry): Promise<void> {
    const { upload } = entry;
    entry.upload = undefined;
    await upload?.close();
  }
}

function parentsOf({ dirMode, uid, gid }: CopyRequest) {
  // proto3 has no absence: nobody asks for directories without any permission.
  return { mode: dirMode & 0o777 || 0o755, uid, gid };
}

/** A directory that is there keeps its content. */
async function makeDirectory(place: Place, request: CopyRequest): Promise<void> {
  const path = at(place.directory, place.name);
  const flags = constants.O_DIRECTORY | constants.O_NOFOLLOW;
  let handle = await open(path, flags).catch((error: unknown) => {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return undefined;
    throw error;
  });
  if (handle === undefined) {
    await removeEntry(place);
    await mkdir(path, { mode: 0o700 });
    handle = await open(path, flags);
  }
  try {
    await setOwner(descriptorPath(handle.fd), request);
    await chmod(descriptorPath(handle.fd), request.fileMode & 0o7777);
  } finally {
    await handle.close();
  }
}

/** The target is taken as it is: it means something to the container only. */
async function makeLink(place: Place, { data, uid, gid }: CopyRequest, names: TemporaryNames): Promise<void> {
  const temporary = await names.beside(place);
  const path = at(temporary.directory, temporary.name);
  try {
    await symlink(Buffer.from(data), path);
    faultPoint('copy:linked');
    if (uid !== -1 || gid !== -1) await lchown(path, uid, gid);
    await renameOver(temporary, place);
  } catch (error) {
    await removeEntry(temporary).catch(() => {});
    throw error;
  } finally {
    temporary.forget();
  }
}
