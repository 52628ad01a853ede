// Files on their way into a root, by clients that may lose their connection and come back.
// INVARIANTS: one call at a time writes an upload; one that fails leaves nothing; one whose call broke is kept for a while if it has a key.
import { createHash, timingSafeEqual } from 'node:crypto';
import { lstat } from 'node:fs/promises';
import { AgentError, isErrno } from '../../errors.ts';
import { at, type Place } from './confined-directory.ts';
import { fileError, quoted } from './file-error.ts';
import type { FileFacts } from './file-facts.ts';
import type { FileRoot, Owner } from './file-root.ts';
import { FILES } from './files-lane.ts';
import { NewFile } from './new-file.ts';

/** What has come of an unfinished upload, and what is known of a finished one, is kept so long. */
const KEPT_MS = 600_000;
/** Each holds two descriptors. */
const MAX_KEPT = 64;
const MAX_FINISHED = 1024;

export interface UploadRequest extends Owner {
  readonly containerId: string;
  readonly path: string;
  readonly mode: number;
  readonly makeParents: boolean;
  readonly exclusive: boolean;
  /** '' for none. */
  readonly key: string;
}

export interface Finish {
  /** Empty for no check. */
  readonly sha256: Uint8Array;
  readonly size: number;
  readonly durable: boolean;
}

export interface UploadsOptions {
  readonly keptMs?: number;
}

/** What came of an upload that was finished by an earlier call with its key. */
export interface Finished {
  readonly facts: FileFacts;
}

export class Uploads {
  readonly #keptMs: number;
  /** By key: in use or kept, the oldest first. */
  readonly #keyed = new Map<string, Upload>();
  readonly #finished = new Map<string, { readonly facts: FileFacts; readonly place: string; readonly timer: NodeJS.Timeout }>();

  constructor({ keptMs = KEPT_MS }: UploadsOptions = {}) {
    this.#keptMs = keptMs;
  }

  /**
   * A new upload, or the one with this key where it stopped; end its use by {@link leave}.
   * @param takenOver called when another call goes on with it
   * @param ended resolves when the root goes away
   */
  async begin(
    root: FileRoot,
    request: UploadRequest,
    { takenOver, ended }: { takenOver: (reason: AgentError) => void; ended: Promise<unknown> | undefined },
  ): Promise<Upload | Finished> {
    const { key, containerId, path } = request;
    const name = placeName(request);
    const finished = this.#finished.get(key);
    if (key !== '' && finished !== undefined) return sameFile(finished.place, name, path) && { facts: finished.facts };
    for (let kept = this.#keyed.get(key); key !== '' && kept !== undefined; kept = this.#keyed.get(key)) {
      sameFile(placeName(kept.request), name, path);
      if (kept.take(takenOver)) return kept;
      await kept.released();
    }
    const upload = new Upload(root, request, takenOver);
    if (key !== '') {
      this.#keyed.set(key, upload);
      void ended?.then(() => this.#drop(upload));
    }
    try {
      await upload.open();
      return upload;
    } catch (error) {
      await this.leave(upload, { keep: false });
      throw fileError(error, 'write to', `${containerId}:${path}`);
    }
  }

  /** The call is over. @param keep it broke: its upload may be gone on with */
  async leave(upload: Upload, { keep }: { keep: boolean }): Promise<void> {
    const { key } = upload.request;
    if (key !== '' && upload.facts !== undefined) this.#remember(key, upload.facts, placeName(upload.request));
    if (!keep || key === '' || upload.facts !== undefined || upload.over) {
      await this.#drop(upload);
      return;
    }
    upload.release(this.#keptMs, () => void this.#drop(upload));
    const idle = [...this.#keyed.values()].filter(({ busy }) => !busy);
    for (const oldest of idle.slice(0, -MAX_KEPT)) await this.#drop(oldest);
  }

  async #drop(upload: Upload): Promise<void> {
    const { key } = upload.request;
    if (this.#keyed.get(key) === upload) this.#keyed.delete(key);
    await upload.close();
  }

  #remember(key: string, facts: FileFacts, place: string): void {
    const timer = setTimeout(() => this.#finished.delete(key), this.#keptMs).unref();
    this.#finished.set(key, { facts, place, timer });
    const [oldest] = this.#finished;
    if (oldest === undefined || this.#finished.size <= MAX_FINISHED) return;
    clearTimeout(oldest[1].timer);
    this.#finished.delete(oldest[0]);
  }
}

export class Upload {
  readonly request: UploadRequest;
  /** Of the file under its name, once it has it. */
  facts: FileFacts | undefined;
  #root: FileRoot;
  #place: Place | undefined;
  #file: NewFile | undefined;
  #received = 0;
  #hash = createHash('sha256');
  #user: ((reason: AgentError) => void) | undefined;
  #released = Promise.withResolvers<void>();
  #timer: NodeJS.Timeout | undefined;
  #over = false;

  constructor(root: FileRoot, request: UploadRequest, user: (reason: AgentError) => void) {
    this.request = request;
    this.#root = root;
    this.#user = user;
  }

  /** Where the next byte is expected. */
  get received(): number {
    return this.#received;
  }

  get busy(): boolean {
    return this.#user !== undefined;
  }

  get over(): boolean {
    return this.#over;
  }

  async open(): Promise<void> {
    const { path, makeParents, exclusive } = this.request;
    const place = await this.#root.place(path, makeParents ? this.request : undefined);
    this.#place = place;
    if (exclusive && (await isThere(place))) throw exists(path);
    this.#file = await NewFile.begin(place, this.#root);
  }

  /** Whether it is the caller's now; else whoever has it has been told to leave. */
  take(user: (reason: AgentError) => void): boolean {
    if (this.#user !== undefined) {
      this.#user(new AgentError('aborted', 'another call goes on with this upload', { fields: { field: 'key' } }));
      return false;
    }
    clearTimeout(this.#timer);
    this.#released = Promise.withResolvers<void>();
    this.#user = user;
    return true;
  }

  released(): Promise<void> {
    return this.#released.promise;
  }

  /** Bytes that are there already are passed over. @throws out_of_range for a hole; what the file system says */
  async write(offset: number, data: Uint8Array): Promise<void> {
    if (offset > this.#received) {
      throw new AgentError('out_of_range', `chunk.offset: ${offset}, but byte ${this.#received} is the next`, {
        fields: { field: 'chunk.offset' },
      });
    }
    const fresh = data.subarray(this.#received - offset);
    if (fresh.length === 0) return;
    try {
      await this.#open.write(fresh, this.#received);
    } catch (error) {
      throw fileError(error, 'write to', this.request.path);
    }
    this.#hash.update(fresh);
    this.#received += fresh.length;
  }

  /** Publishes it. @throws data_loss when it is not what was sent; what has the name stays then */
  async finish({ sha256, size, durable }: Finish): Promise<FileFacts> {
    const { path, exclusive } = this.request;
    if (size !== this.#received) throw loss(path, `${this.#received} bytes have come, not ${size}`, 'finish.size');
    const sum = this.#hash.digest();
    if (sha256.length > 0 && (sha256.length !== sum.length || !timingSafeEqual(sha256, sum))) {
      throw loss(path, `its SHA-256 is ${sum.toString('hex')}, not what the client says`, 'finish.sha256');
    }
    try {
      await this.#open.publish({ ...this.request, noReplace: exclusive, durable });
    } catch (error) {
      throw isErrno(error, 'EEXIST') ? exists(path) : fileError(error, 'write to', path);
    }
    this.facts = await this.#root.statPlace(this.#place!, path);
    return this.facts;
  }

  /** Kept until `ms` have passed or somebody takes it. */
  release(ms: number, onExpired: () => void): void {
    this.#user = undefined;
    this.#timer = setTimeout(onExpired, ms).unref();
    this.#released.resolve();
  }

  /** Idempotent. */
  async close(): Promise<void> {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    this.#user = undefined;
    try {
      await this.#file?.close();
    } finally {
      if (this.#place !== undefined) this.#root.door.close(this.#place.directory);
      this.#released.resolve();
    }
  }

  get #open(): NewFile {
    if (this.#file !== undefined && !this.#over) return this.#file;
    throw new AgentError('aborted', 'the upload is over', { fields: { field: 'key' } });
  }
}

function placeName({ containerId, path }: UploadRequest): string {
  return `${containerId}:${path}`;
}

/** @throws failed_precondition */
function sameFile(known: string, asked: string, path: string): true {
  if (known === asked) return true;
  throw new AgentError('failed_precondition', `key: it belongs to the upload of another file than ${quoted(path)}`, {
    fields: { field: 'begin.key' },
  });
}

async function isThere({ directory, name }: Place): Promise<boolean> {
  return await FILES.run(() => lstat(at(directory, name))).then(
    () => true,
    (error: unknown) => {
      if (isErrno(error, 'ENOENT')) return false;
      throw error;
    },
  );
}

function exists(path: string): AgentError {
  return new AgentError('already_exists', `${quoted(path)} is there already`, { fields: { field: 'path', path } });
}

function loss(path: string, what: string, field: string): AgentError {
  return new AgentError('data_loss', `${quoted(path)} is not written: ${what}`, { fields: { field, path } });
}
