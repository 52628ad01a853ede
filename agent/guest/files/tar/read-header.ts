// A header block read, and the records of a pax header. What comes is anybody's bytes: each number is checked, nothing is believed. Pure.
import { AgentError } from '../../../errors.ts';
import { BLOCK_BYTES, checksumOf, FIELDS, type TarEntry, type TarType } from './entry.ts';

/** A header as it stands in its block. */
export interface RawHeader extends TarEntry {
  readonly typeFlag: string;
}

/** What a pax header says of the member behind it. */
export interface PaxFields {
  readonly name?: Buffer;
  readonly linkName?: Buffer;
  readonly size?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly modified?: number;
  /** GNU's form of a sparse file. */
  readonly sparse?: true;
}

const TYPES: Readonly<Record<string, TarType>> = {
  '0': 'file',
  '\0': 'file',
  '7': 'file',
  '1': 'link',
  '2': 'symlink',
  '5': 'directory',
};
const MAX_ID = 0xffff_fffe;

/** @throws invalid_argument for what is no header */
export function readHeader(block: Buffer): RawHeader {
  if (block.length !== BLOCK_BYTES) throw new TypeError(`a header of ${block.length} bytes`);
  if (number(block, FIELDS.checksum) !== checksumOf(block)) {
    throw malformed('a header is not what its checksum says; the archive is damaged, compressed, or none');
  }
  const typeFlag = String.fromCharCode(block[FIELDS.type[0]]!);
  const magic = block.toString('latin1', FIELDS.magic[0], FIELDS.magic[0] + 6);
  const prefix = magic === 'ustar\0' ? bytes(block, FIELDS.prefix) : Buffer.alloc(0);
  const short = bytes(block, FIELDS.name);
  const name = prefix.length > 0 ? Buffer.concat([prefix, Buffer.from('/'), short]) : short;
  // Before there was a type of their own, directories were told by their name.
  const type =
    typeFlag !== '5' && TYPES[typeFlag] === 'file' && name.at(-1) === 0x2f ? 'directory' : (TYPES[typeFlag] ?? 'other');
  return {
    name,
    type,
    typeFlag,
    size: number(block, FIELDS.size),
    mode: number(block, FIELDS.mode) & 0o7777,
    uid: number(block, FIELDS.uid),
    gid: number(block, FIELDS.gid),
    modified: number(block, FIELDS.modified),
    linkName: bytes(block, FIELDS.linkName),
  };
}

/** @throws invalid_argument */
export function readPax(records: Buffer): PaxFields {
  const fields: { -readonly [Key in keyof PaxFields]: PaxFields[Key] } = {};
  for (let at = 0; at < records.length; ) {
    const space = records.indexOf(0x20, at);
    const length = space < 0 ? Number.NaN : decimal(records.toString('latin1', at, space));
    const end = at + length;
    const equals = records.indexOf(0x3d, space);
    if (!(end <= records.length) || equals < 0 || equals >= end || records[end - 1] !== 0x0a)
      throw malformed('a pax header is malformed');
    const keyword = records.toString('latin1', space + 1, equals);
    const value = records.subarray(equals + 1, end - 1);
    at = end;
    if (keyword === 'path') fields.name = value;
    else if (keyword === 'linkpath') fields.linkName = value;
    else if (keyword === 'size') fields.size = checked(decimal(value.toString('latin1')), Number.MAX_SAFE_INTEGER, keyword);
    else if (keyword === 'uid' || keyword === 'gid')
      fields[keyword] = checked(decimal(value.toString('latin1')), MAX_ID, keyword);
    else if (keyword === 'mtime') fields.modified = time(value.toString('latin1'));
    else if (keyword.startsWith('GNU.sparse.')) fields.sparse = true;
  }
  return fields;
}

export function malformed(what: string): AgentError {
  return new AgentError('invalid_argument', `tar: ${what}`, { fields: { field: 'data' } });
}

function bytes(block: Buffer, [from, length]: readonly [number, number]): Buffer {
  const field = block.subarray(from, from + length);
  const end = field.indexOf(0);
  return Buffer.from(end < 0 ? field : field.subarray(0, end));
}

/** Octal digits, or GNU's base 256: the first bit set, the rest a big-endian number. */
function number(block: Buffer, [from, length]: readonly [number, number]): number {
  const field = block.subarray(from, from + length);
  if (field[0] === 0x80) {
    let value = 0;
    for (const byte of field.subarray(1)) value = value * 256 + byte;
    return checked(value, Number.MAX_SAFE_INTEGER, 'a number');
  }
  const text = field
    .toString('latin1')
    .replace(/[\0 ]+$/, '')
    .trimStart();
  if (text === '') return 0;
  if (!/^[0-7]+$/.test(text)) throw malformed('a number of a header is none');
  return Number.parseInt(text, 8);
}

function decimal(text: string): number {
  return /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
}

/** Seconds, with a fraction, before 1970 too. */
function time(text: string): number {
  if (!/^-?\d{1,15}(\.\d{1,12})?$/.test(text)) throw malformed('mtime is no time');
  return Number(text);
}

function checked(value: number, most: number, what: string): number {
  if (Number.isSafeInteger(value) && value >= 0 && value <= most) return value;
  throw malformed(`${what} is out of range`);
}
