// A tar archive as it arrives, member by member: ustar, pax, GNU's long names, and what came before them. Holds a block and a bounded
// header, whatever the archive says of itself.
import { BLOCK_BYTES, paddingOf, type TarEntry } from './entry.ts';
import { malformed, type PaxFields, type RawHeader, readHeader, readPax } from './read-header.ts';

/** Of a pax header or a long name: paths have 4 KiB, what else there may be (extended attributes) is passed over. */
const MAX_META_BYTES = 1024 * 1024;

export interface TarMember {
  readonly entry: TarEntry;
  /** Iterate once; what is left of it when the next member is asked for is passed over. */
  readonly content: AsyncIterable<Buffer>;
}

/** The source is read to its end, beyond the archive's own. @throws invalid_argument for what is no archive, or not all of one */
export async function* readTar(source: AsyncIterable<Uint8Array>): AsyncGenerator<TarMember> {
  const input = new Input(source[Symbol.asyncIterator]());
  try {
    let pax: PaxFields = {};
    for (;;) {
      const block = await input.exactly(BLOCK_BYTES);
      if (isZero(block)) return await input.drain();
      const header = readHeader(block);
      if (isMeta(header)) {
        pax = { ...pax, ...(await readMeta(header, input)) };
        continue;
      }
      const entry = merge(header, pax);
      pax = {};
      const content = input.upTo(entry.type === 'file' || entry.type === 'other' ? contentSize(header, entry) : 0);
      yield { entry, content };
      for await (const _ of content) {
        // Passed over.
      }
      await input.exactly(paddingOf(contentSize(header, entry)));
    }
  } finally {
    await input.leave();
  }
}

/** x and g are pax headers, of the next member and of all that follow; L and K are GNU's long name and long target. */
function isMeta({ typeFlag }: RawHeader): boolean {
  return typeFlag === 'x' || typeFlag === 'g' || typeFlag === 'L' || typeFlag === 'K';
}

async function readMeta({ typeFlag, size }: RawHeader, input: Input): Promise<PaxFields> {
  if (size > MAX_META_BYTES) throw malformed(`a header of ${size} bytes, more than ${MAX_META_BYTES}`);
  const data = await input.exactly(size);
  await input.exactly(paddingOf(size));
  if (typeFlag === 'x') return readPax(data);
  // Global records name no member; those that git writes are a comment.
  if (typeFlag === 'g') return {};
  const end = data.indexOf(0);
  const text = end < 0 ? data : data.subarray(0, end);
  return typeFlag === 'L' ? { name: text } : { linkName: text };
}

function merge({ typeFlag: _, ...header }: RawHeader, { sparse, ...pax }: PaxFields): TarEntry {
  const entry = { ...header, ...pax };
  if (sparse) return { ...entry, type: 'other' };
  return entry.type === 'file' || entry.type === 'other' ? entry : { ...entry, size: 0 };
}

/** Links and directories have no content, whatever their size says; of devices and pipes it is 0. */
function contentSize({ typeFlag }: RawHeader, { size, type }: TarEntry): number {
  if (type !== 'file' && type !== 'other') return 0;
  return /^[346]$/.test(typeFlag) ? 0 : size;
}

function isZero(block: Buffer): boolean {
  return block.every((byte) => byte === 0);
}

class Input {
  readonly #source: AsyncIterator<Uint8Array>;
  #rest: Buffer = Buffer.alloc(0);
  #ended = false;

  constructor(source: AsyncIterator<Uint8Array>) {
    this.#source = source;
  }

  /** @throws invalid_argument when there are fewer */
  async exactly(length: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    for await (const part of this.upTo(length)) parts.push(part);
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
  }

  async *upTo(length: number): AsyncGenerator<Buffer> {
    let left = length;
    while (left > 0) {
      if (this.#rest.length === 0 && !(await this.#more())) throw malformed('the archive ends before its end');
      const part = this.#rest.subarray(0, left);
      this.#rest = this.#rest.subarray(part.length);
      left -= part.length;
      yield part;
    }
  }

  async drain(): Promise<void> {
    while (await this.#more());
  }

  async leave(): Promise<void> {
    if (!this.#ended) await this.#source.return?.();
  }

  async #more(): Promise<boolean> {
    const next = await this.#source.next();
    if (next.done) {
      this.#ended = true;
      return false;
    }
    const { buffer, byteOffset, byteLength } = next.value;
    this.#rest = Buffer.from(buffer, byteOffset, byteLength);
    return true;
  }
}
