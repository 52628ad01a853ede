// The journal's bytes: a header, then records one behind the other, then zeros. Pure: values in, bytes out, and back.
// INVARIANT: reading never throws. What a write left unfinished is told from what somebody damaged: an unfinished record is the last one,
// and stops short of the newline that ends every record and is nowhere else in one.
import { crc32 } from 'node:zlib';

/** Grows when an agent of before could not read what is written now. A journal says the least that its reader needs. */
export const JOURNAL_SCHEMA = 1;
/** "BERTHJRN" */
const MAGIC = 0x4e524a_4854524542n;
export const HEADER_BYTES = 32;
const RECORD_HEADER_BYTES = 8;
const NEWLINE = 0x0a;
/** Of one record: an exec may have 2 MiB of arguments, but what is kept of a request is much less. */
const MAX_RECORD_BYTES = 1024 * 1024;

/** What is known of one thing; without a value it is gone. Any JSON, with bigints. */
export interface JournalRecord {
  readonly kind: string;
  readonly id: string;
  readonly value?: unknown;
}

/**
 * `blank`: nothing was ever completed here. `newer`: an agent of after wrote it. `damaged`: what could be read is there, other records are
 * missing or from before.
 */
export type Decoded =
  | { readonly state: 'blank' }
  | { readonly state: 'newer'; readonly schema: number }
  | {
      readonly state: 'whole' | 'damaged';
      /** The higher of two journals is the one that counts; 0 when it can't be told. */
      readonly epoch: bigint;
      readonly records: readonly JournalRecord[];
      /** Where the next record goes. */
      readonly end: number;
      /** Bytes of a record that was not finished. */
      readonly torn: number;
      /** What is wrong, for people. */
      readonly damage?: string;
    };

export function encodeHeader(epoch: bigint, schema = JOURNAL_SCHEMA): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeBigUInt64LE(MAGIC, 0);
  header.writeUInt32LE(schema, 8);
  header.writeBigUInt64LE(epoch, 16);
  header.writeUInt32LE(crc32(header.subarray(0, 24)), 24);
  header[HEADER_BYTES - 1] = NEWLINE;
  return header;
}

/** @throws RangeError for a record above MAX_RECORD_BYTES */
export function encodeRecord({ kind, id, value }: JournalRecord): Buffer {
  const text = JSON.stringify(value === undefined ? [kind, id] : [kind, id, value], replacer);
  const length = Buffer.byteLength(text) + 1;
  if (length > MAX_RECORD_BYTES) throw new RangeError(`a journal record of ${length} bytes`);
  const record = Buffer.allocUnsafe(RECORD_HEADER_BYTES + length);
  record.writeUInt32LE(length, 0);
  record.write(text, RECORD_HEADER_BYTES);
  record[record.length - 1] = NEWLINE;
  record.writeUInt32LE(crc32(record.subarray(RECORD_HEADER_BYTES, record.length - 1)), 4);
  return record;
}

/** @param bytes of the whole file, or as much of it as there is */
export function decodeJournal(bytes: Buffer): Decoded {
  const used = usedBytes(bytes);
  const header = bytes.subarray(0, HEADER_BYTES);
  // The header is written last, so one that was being written has none, whatever lies behind.
  if (used === 0 || (header.length === HEADER_BYTES && usedBytes(header) === 0)) return { state: 'blank' };
  if (header.length < HEADER_BYTES || header.readUInt32LE(24) !== crc32(header.subarray(0, 24)) || header[31] !== NEWLINE) {
    return damaged(0n, readRecords(bytes, used), 'the header is damaged');
  }
  if (header.readBigUInt64LE(0) !== MAGIC) return damaged(0n, readRecords(bytes, used), 'it is no journal');
  const schema = header.readUInt32LE(8);
  if (schema > JOURNAL_SCHEMA) return { state: 'newer', schema };
  const epoch = header.readBigUInt64LE(16);
  const read = readRecords(bytes, used);
  if (read.damage !== undefined) return damaged(epoch, read, read.damage);
  return { state: 'whole', epoch, records: read.records, end: read.end, torn: used > read.end ? used - read.end : 0 };
}

/** The newest word on each thing, in the order in which things were first told of. */
export function replay(records: Iterable<JournalRecord>): Map<string, JournalRecord> {
  const state = new Map<string, JournalRecord>();
  for (const record of records) {
    const key = keyOf(record);
    if (record.value === undefined) state.delete(key);
    else state.set(key, record);
  }
  return state;
}

export function keyOf({ kind, id }: Pick<JournalRecord, 'kind' | 'id'>): string {
  return `${kind}\0${id}`;
}

interface Read {
  readonly records: JournalRecord[];
  readonly end: number;
  readonly damage?: string;
}

function damaged(epoch: bigint, { records, end }: Read, damage: string): Decoded {
  return { state: 'damaged', epoch, records, end, torn: 0, damage };
}

function readRecords(bytes: Buffer, used: number): Read {
  const records: JournalRecord[] = [];
  let damage: string | undefined;
  let at = HEADER_BYTES;
  while (at < used) {
    const end = endOfRecord(bytes, at);
    const record = end === undefined ? undefined : readRecord(bytes.subarray(at, end), end === used + 1);
    if (record !== undefined) {
      records.push(record);
      at = end!;
      continue;
    }
    // A writer that was killed stops within the record: its last newline is missing, and nothing follows.
    if (isTorn(bytes, at, used, end)) break;
    damage ??= `the record at byte ${at} is damaged`;
    // Its length may be right all the same: then the ones behind it can be read.
    const next = end !== undefined && end < used && endOfRecord(bytes, end) !== undefined ? end : undefined;
    if (next === undefined) break;
    at = next;
  }
  return damage === undefined ? { records, end: at } : { records, end: at, damage };
}

/** undefined for a length that can't be. */
function endOfRecord(bytes: Buffer, at: number): number | undefined {
  if (at + RECORD_HEADER_BYTES > bytes.length) return undefined;
  const length = bytes.readUInt32LE(at);
  const end = at + RECORD_HEADER_BYTES + length;
  return length < 2 || length > MAX_RECORD_BYTES || end > bytes.length ? undefined : end;
}

/** @param unended only the newline has not been written */
function readRecord(bytes: Buffer, unended: boolean): JournalRecord | undefined {
  const body = bytes.subarray(RECORD_HEADER_BYTES);
  const text = body.subarray(0, body.length - 1);
  if (body[body.length - 1] !== (unended ? 0 : NEWLINE) || bytes.readUInt32LE(4) !== crc32(text)) return undefined;
  try {
    const [kind, id, value] = parse(text.toString('utf8'));
    if (typeof kind !== 'string' || typeof id !== 'string') return undefined;
    return value === undefined ? { kind, id } : { kind, id, value };
  } catch {
    return undefined;
  }
}

function isTorn(bytes: Buffer, at: number, used: number, end: number | undefined): boolean {
  // Not even its header is whole.
  if (used - at <= RECORD_HEADER_BYTES) return true;
  if (end === undefined && bytes.length > at + RECORD_HEADER_BYTES + MAX_RECORD_BYTES) return false;
  return bytes[used - 1] !== NEWLINE && (end === undefined || used < end);
}

/** Without the zeros at the end. */
function usedBytes(bytes: Buffer): number {
  let used = bytes.length;
  // A step at a time: what is preallocated and not used yet is most of the file.
  while (used >= ZEROS.length && ZEROS.equals(bytes.subarray(used - ZEROS.length, used))) used -= ZEROS.length;
  while (used > 0 && bytes[used - 1] === 0) used--;
  return used;
}

const ZEROS = Buffer.alloc(4096);

/** JSON has no bigints: `~5` is one, and a string that begins so has its first character twice. */
function replacer(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return `~${value}`;
  return typeof value === 'string' && value.startsWith('~') ? `~${value}` : value;
}

/** Reviving costs ten times the parsing. */
function parse(text: string): [unknown, unknown, unknown] {
  return text.includes('"~') ? JSON.parse(text, reviver) : JSON.parse(text);
}

function reviver(_key: string, value: unknown): unknown {
  if (typeof value !== 'string' || !value.startsWith('~')) return value;
  return value.startsWith('~~') ? value.slice(1) : BigInt(value.slice(1));
}
