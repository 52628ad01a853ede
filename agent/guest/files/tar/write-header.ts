// The header of a member, with a pax header before it where ustar has no room. Pure.
import { BLOCK_BYTES, checksumOf, FIELDS, paddingOf, type TarEntry, type TarType } from './entry.ts';

const TYPES: Readonly<Record<Exclude<TarType, 'other'>, string>> = { file: '0', link: '1', symlink: '2', directory: '5' };
const PAX = 'x';
/** Octal digits and a NUL. */
const MAX_SMALL = 0o7777777;
const MAX_LARGE = 0o77777777777;

/** @throws TypeError for `other` */
export function tarHeader(entry: TarEntry): Buffer {
  if (entry.type === 'other') throw new TypeError('such a member is not written');
  const records = paxRecords(entry);
  const header = block(entry, TYPES[entry.type]);
  if (records.length === 0) return header;
  const size = records.length;
  const pax = block({ ...entry, name: Buffer.from('pax'), linkName: Buffer.alloc(0), size, mode: 0o644, uid: 0, gid: 0 }, PAX);
  return Buffer.concat([pax, records, Buffer.alloc(paddingOf(size)), header]);
}

/** What the fields of ustar can't say: `<length> <keyword>=<value>\n`, the length counting itself. */
function paxRecords({ name, linkName, size, uid, gid, modified }: TarEntry): Buffer {
  const records: Buffer[] = [];
  const add = (keyword: string, value: Buffer | string) => records.push(record(keyword, Buffer.from(value)));
  if (name.length > FIELDS.name[1]) add('path', name);
  if (linkName.length > FIELDS.linkName[1]) add('linkpath', linkName);
  if (size > MAX_LARGE) add('size', `${size}`);
  if (uid > MAX_SMALL) add('uid', `${uid}`);
  if (gid > MAX_SMALL) add('gid', `${gid}`);
  if (!Number.isInteger(modified) || modified < 0 || modified > MAX_LARGE) add('mtime', `${modified}`);
  return Buffer.concat(records);
}

function record(keyword: string, value: Buffer): Buffer {
  const rest = 1 + keyword.length + 1 + value.length + 1;
  let length = rest + 1;
  while (`${length}`.length + rest !== length) length = `${length}`.length + rest;
  return Buffer.concat([Buffer.from(`${length} ${keyword}=`), value, Buffer.from('\n')]);
}

function block(entry: TarEntry, type: string): Buffer {
  const header = Buffer.alloc(BLOCK_BYTES);
  const text = ([from, length]: readonly [number, number], value: Buffer | string) => {
    Buffer.from(value).copy(header, from, 0, length);
  };
  const octal = ([from, length]: readonly [number, number], value: number, most: number) => {
    const digits = Math.min(most, Math.max(0, Math.trunc(value))).toString(8);
    header.write(digits.padStart(length - 1, '0'), from);
  };
  text(FIELDS.name, entry.name);
  octal(FIELDS.mode, entry.mode & 0o7777, MAX_SMALL);
  octal(FIELDS.uid, entry.uid, MAX_SMALL);
  octal(FIELDS.gid, entry.gid, MAX_SMALL);
  octal(FIELDS.size, entry.size, MAX_LARGE);
  octal(FIELDS.modified, entry.modified, MAX_LARGE);
  text(FIELDS.type, type);
  text(FIELDS.linkName, entry.linkName);
  text(FIELDS.magic, 'ustar\x0000');
  header.write(`${checksumOf(header).toString(8).padStart(6, '0')}\0 `, FIELDS.checksum[0]);
  return header;
}
