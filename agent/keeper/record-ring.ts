// The last so many bytes of records, across agents: two files, of which the older is written over when the newer is full. For what may
// be lost in parts and is bounded by its nature: events. It lies in memory (tmpfs), as the journal does.
import { type FileHandle, mkdir, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { native } from '../../native/index.ts';
import { decodeJournal, encodeHeader, encodeRecord, HEADER_BYTES, type JournalRecord } from './journal-format.ts';

/** Of each file. */
const SEGMENT_BYTES = 256 * 1024;
/** Records that wait for the files to be opened. */
const MAX_WAITING = 4096;

interface Segment {
  readonly handle: FileHandle;
  used: number;
}

export class RecordRing {
  readonly #paths: readonly string[];
  readonly #directory: string;
  readonly #segmentBytes: number;
  #segments: Segment[] | undefined;
  #opening: Promise<void> | undefined;
  #waiting: Buffer[] = [];
  #epoch: bigint;
  #dead = false;

  /** @param epoch of the newest file that was read */
  constructor(
    directory: string,
    name: string,
    { epoch = 0n, segmentBytes = SEGMENT_BYTES }: { epoch?: bigint; segmentBytes?: number } = {},
  ) {
    this.#directory = directory;
    this.#paths = pathsOf(directory, name);
    this.#epoch = epoch;
    this.#segmentBytes = segmentBytes;
  }

  /** Written when this returns, but for the first few, which wait for the files. Without room for them nothing is kept. */
  append(record: JournalRecord): void {
    if (this.#dead) return;
    const bytes = encodeRecord(record);
    if (this.#segments === undefined) {
      if (this.#waiting.length < MAX_WAITING) this.#waiting.push(bytes);
      this.#opening ??= this.#open().catch(() => {
        this.#dead = true;
        this.#waiting = [];
      });
      return;
    }
    this.#write(bytes);
  }

  async #open(): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    const segments: Segment[] = [];
    for (const path of this.#paths) {
      const handle = await open(path, 'a+', 0o600).then(async (made) => {
        await made.close();
        return await open(path, 'r+');
      });
      segments.push({ handle, used: (await handle.stat()).size });
    }
    this.#segments = segments;
    // Another boot's, where none of this one has been read.
    if (this.#epoch === 0n)
      for (const segment of segments) if (segment.used > 0) writeAll(segment, Buffer.alloc(HEADER_BYTES), 0);
    this.#next();
    for (const bytes of this.#waiting.splice(0)) this.#write(bytes);
  }

  #write(bytes: Buffer): void {
    try {
      if (this.#current.used + bytes.length > this.#segmentBytes) this.#next();
      const segment = this.#current;
      writeAll(segment, bytes, segment.used);
      segment.used += bytes.length;
    } catch {
      // A full file system costs the events of before, not those that happen.
      this.#dead = true;
    }
  }

  get #current(): Segment {
    return this.#segments![Number(this.#epoch % 2n)]!;
  }

  #next(): void {
    this.#epoch++;
    const segment = this.#current;
    if (segment.used > 0) writeAll(segment, Buffer.alloc(segment.used), 0);
    writeAll(segment, encodeHeader(this.#epoch), 0);
    segment.used = HEADER_BYTES;
  }
}

/** What an earlier agent left, the oldest first; what is damaged is left out. */
export async function loadRing(directory: string, name: string): Promise<{ epoch: bigint; records: JournalRecord[] }> {
  const files = await Promise.all(
    pathsOf(directory, name).map((path) => readFile(path).then(decodeJournal, () => ({ state: 'blank' }) as const)),
  );
  const readable = files.filter((file) => 'epoch' in file).sort((a, b) => (a.epoch < b.epoch ? -1 : 1));
  return { epoch: readable.at(-1)?.epoch ?? 0n, records: readable.flatMap(({ records }) => records) };
}

function pathsOf(directory: string, name: string): string[] {
  return [0, 1].map((number) => join(directory, `${name}.${number}`));
}

function writeAll({ handle }: Segment, data: Buffer, at: number): void {
  for (let done = 0; done < data.length; )
    done += native().writeAt(handle.fd, done === 0 ? data : data.subarray(done), BigInt(at + done));
}
