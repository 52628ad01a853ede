// The journal of what was acknowledged: a keyed store on two append-only files in memory (tmpfs), of which one counts. It outlives the
// agent, not the machine, so what is written is safe as soon as the kernel has it.
// INVARIANTS: what `put` and `remove` say is in the file when they return. Both files' space is taken beforehand, so that removing works
// on a full file system. At every instruction exactly one file counts: a new one does from the moment its header is there.
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { native } from '../../native/index.ts';
import { AgentError, fromErrno } from '../errors.ts';
import { encodeHeader, encodeRecord, HEADER_BYTES, type JournalRecord, keyOf } from './journal-format.ts';

/** Of each of the two files, unless more has to be kept. */
const FIRST_BYTES = 256 * 1024;
const MAX_BYTES = 16 * 1024 * 1024;
export const JOURNAL_FILES = ['journal.0', 'journal.1'] as const;

/** Where acknowledged state is written down. */
export interface StateStore {
  /** Resolves when the store is open: nothing is acknowledged before. @throws what keeps it from opening */
  ready(): Promise<void>;
  /**
   * Replaces what is known of the thing; written when it returns. Before `ready` it is written by that.
   * @throws resource_exhausted when there is no room; what was known stays
   */
  put(kind: string, id: string, value: unknown): void;
  /** Forgets the thing. Never fails for want of room. */
  remove(kind: string, id: string): void;
}

/** Where a journal goes on: the newest record of each thing. */
export interface JournalStart {
  readonly epoch: bigint;
  readonly records: Iterable<JournalRecord>;
}

interface JournalFile {
  readonly handle: FileHandle;
  /** Bytes of it that are surely the file system's to write. */
  size: number;
  /** Behind it there are zeros. */
  used: number;
}

export class Journal implements StateStore {
  readonly #directory: string;
  readonly #maxBytes: number;
  /** The newest record of each thing, encoded. */
  readonly #state = new Map<string, Buffer>();
  #stateBytes = 0;
  #epoch: bigint;
  #opening: Promise<void> | undefined;
  #files: readonly [JournalFile, JournalFile] | undefined;
  #current = 0;
  #closed = false;

  /** @param options.from what an earlier agent left, to go on from */
  constructor(directory: string, { from, maxBytes = MAX_BYTES }: { from?: JournalStart; maxBytes?: number } = {}) {
    this.#directory = directory;
    this.#epoch = from?.epoch ?? 0n;
    this.#maxBytes = maxBytes;
    for (const record of from?.records ?? []) this.#note(keyOf(record), encodeRecord(record));
  }

  ready(): Promise<void> {
    this.#opening ??= this.#open().catch((error: unknown) => {
      this.#opening = undefined;
      throw fromErrno(error, `open the journal in ${this.#directory}`);
    });
    return this.#opening;
  }

  put(kind: string, id: string, value: unknown): void {
    const key = keyOf({ kind, id });
    const record = encodeRecord({ kind, id, value });
    const before = this.#state.get(key);
    this.#note(key, record);
    try {
      this.#append(record);
    } catch (error) {
      this.#note(key, before);
      throw error;
    }
  }

  remove(kind: string, id: string): void {
    const key = keyOf({ kind, id });
    if (!this.#state.has(key)) return;
    this.#note(key, undefined);
    this.#append(encodeRecord({ kind, id }));
  }

  /** What is kept, for tests and figures. */
  get bytes(): { readonly state: number; readonly used: number; readonly size: number } {
    const file = this.#files?.[this.#current];
    return { state: this.#stateBytes, used: file?.used ?? 0, size: file?.size ?? 0 };
  }

  async close(): Promise<void> {
    await this.#opening?.catch(() => {});
    this.#closed = true;
    for (const { handle } of this.#files ?? []) await handle.close();
  }

  async #open(): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    const files: JournalFile[] = [];
    try {
      for (const name of JOURNAL_FILES) {
        const handle = await open(join(this.#directory, name), 'a+', 0o600);
        await handle.close();
        const file: JournalFile = { handle: await open(join(this.#directory, name), 'r+'), size: 0, used: 0 };
        files.push(file);
        const { size } = await file.handle.stat();
        file.size = size;
        file.used = size;
      }
    } catch (error) {
      for (const { handle } of files) await handle.close();
      throw error;
    }
    this.#files = files as [JournalFile, JournalFile];
    // The one that counted is the one whose epoch is the last; the other is written over.
    this.#current = Number(this.#epoch % 2n);
    try {
      this.#rewrite();
      // The other's space as well, before it is needed.
      this.#extend(this.#files[1 - this.#current]!, FIRST_BYTES);
    } catch (error) {
      this.#files = undefined;
      for (const { handle } of files) await handle.close();
      throw error;
    }
  }

  #note(key: string, record: Buffer | undefined): void {
    const before = this.#state.get(key);
    this.#stateBytes += (record?.length ?? 0) - (before?.length ?? 0);
    if (record === undefined) this.#state.delete(key);
    else this.#state.set(key, record);
  }

  #append(record: Buffer): void {
    if (this.#files === undefined || this.#closed) return;
    const file = this.#files[this.#current]!;
    if (file.used + record.length > file.size) {
      this.#rewrite();
    } else {
      write(file, record, file.used);
      file.used += record.length;
    }
  }

  /** All that is known into the other file, which counts from then on. */
  #rewrite(): void {
    const before = this.#files![this.#current]!;
    const next = this.#files![1 - this.#current]!;
    const needed = HEADER_BYTES + this.#stateBytes;
    write(next, Buffer.alloc(HEADER_BYTES), 0);
    this.#makeRoom(next, needed);
    const body = Buffer.concat([...this.#state.values()]);
    write(next, body, HEADER_BYTES);
    if (next.used > needed) write(next, Buffer.alloc(next.used - needed), needed);
    write(next, encodeHeader(this.#epoch + 1n), 0);
    this.#epoch++;
    this.#current = 1 - this.#current;
    next.used = needed;
    if (before.size >= HEADER_BYTES) write(before, Buffer.alloc(HEADER_BYTES), 0);
  }

  /** At least twice what is needed where that can be had, so that rewriting stays rare. @throws resource_exhausted */
  #makeRoom(file: JournalFile, needed: number): void {
    let wanted = FIRST_BYTES;
    while (wanted < 2 * needed) wanted *= 2;
    wanted = Math.min(wanted, this.#maxBytes);
    if (wanted > file.size) this.#extend(file, wanted);
    if (needed > file.size) {
      throw new AgentError('resource_exhausted', `the journal has room for ${file.size} bytes, and ${needed} are to be kept`, {
        fields: { limit: 'journal-bytes' },
      });
    }
  }

  /** As far as the file system lets it. */
  #extend(file: JournalFile, wanted: number): void {
    const zeros = Buffer.alloc(64 * 1024);
    try {
      while (file.size < wanted) {
        const bytes = zeros.subarray(0, Math.min(zeros.length, wanted - file.size));
        file.size += native().writeAt(file.handle.fd, bytes, BigInt(file.size));
      }
    } catch (error) {
      if (file.size < HEADER_BYTES) throw error;
    }
  }
}

/** Not through libuv: what is written lies in memory that is there already, and waits for nothing. */
function write({ handle }: JournalFile, data: Buffer, at: number): void {
  for (let done = 0; done < data.length; )
    done += native().writeAt(handle.fd, done === 0 ? data : data.subarray(done), BigInt(at + done));
}
