// Plain values to protobuf bytes, as the encoders of Kata's two hosts order them. Written from the encoding's definition
// (protobuf.dev, "Encoding"), on purpose not by any codec that the agent or its client uses.
import { enumOf, type Field, fieldsOf, isMessage } from './schema.ts';

/**
 * Go's encoders write fields by their number. rust-protobuf's write the members of oneofs after all other fields. Both leave out
 * zero values, pack repeated numbers, and write both key and value of every map entry.
 */
export type FieldOrder = 'by-number' | 'oneofs-last';

export type Value =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly Value[]
  | { readonly [name: string]: Value };

const VARINT = 0;
const LENGTH_DELIMITED = 2;
const NUMBERS: ReadonlySet<string> = new Set(['int32', 'uint32', 'int64', 'uint64', 'bool']);

/** @param value field names as in the protocol's definition. @throws naming a field that the message does not have */
export function encode(message: string, value: Value, order: FieldOrder = 'by-number'): Buffer {
  if (value === null || typeof value !== 'object' || Array.isArray(value) || value instanceof Uint8Array)
    throw new Error(`${message}: an object is wanted, got ${String(value)}`);
  const fields = fieldsOf(message);
  const given = value as Readonly<Record<string, Value>>;
  for (const name of Object.keys(given)) {
    if (!fields.some((field) => field.name === name)) throw new Error(`${message} has no field ${name}`);
  }
  const ordered = fields.toSorted((a, b) => late(a, order) - late(b, order) || a.number - b.number);
  return Buffer.concat(ordered.flatMap((field) => encodeField(message, field, given[field.name] ?? null, order)));
}

const late = (field: Field, order: FieldOrder) => (order === 'oneofs-last' && field.oneof !== undefined ? 1 : 0);

function encodeField(message: string, field: Field, value: Value, order: FieldOrder): Buffer[] {
  if (value === null) return [];
  const where = `${message}.${field.name}`;
  if (field.mapKey !== undefined) {
    return Object.entries(value as Record<string, Value>).map(([key, entry]) => {
      const parts = [tag(1, wireType(field.mapKey!)), scalar(where, field.mapKey!, key)];
      parts.push(tag(2, wireType(field.type)), single(where, field.type, entry, order));
      return delimited(field.number, Buffer.concat(parts));
    });
  }
  if (!field.repeated) {
    if (!field.presence && isZero(field.type, value)) return [];
    return [tag(field.number, wireType(field.type)), single(where, field.type, value, order)];
  }
  if (!Array.isArray(value)) throw new Error(`${where}: a list is wanted`);
  if (value.length === 0) return [];
  if (NUMBERS.has(field.type)) {
    return [delimited(field.number, Buffer.concat(value.map((each: Value) => scalar(where, field.type, each))))];
  }
  return value.flatMap((each: Value) => [
    tag(field.number, wireType(field.type)),
    single(where, field.type, each as Value, order),
  ]);
}

/** A message that is there but empty is written; only scalars have a zero. */
function isZero(type: string, value: Value): boolean {
  if (isMessage(type)) return false;
  if (value instanceof Uint8Array) return value.length === 0;
  const enumeration = enumOf(type);
  if (enumeration && typeof value === 'string') return enumeration.get(value) === 0;
  return value === 0 || value === 0n || value === '' || value === false || (NUMBERS.has(type) && value === '0');
}

function wireType(type: string): number {
  return NUMBERS.has(type) || enumOf(type) ? VARINT : LENGTH_DELIMITED;
}

function single(where: string, type: string, value: Value, order: FieldOrder): Buffer {
  if (!isMessage(type)) return scalar(where, type, value);
  const body = encode(type, value, order);
  return Buffer.concat([varint(BigInt(body.length)), body]);
}

function scalar(where: string, type: string, value: Value): Buffer {
  if (type === 'string' || type === 'bytes') {
    if (typeof value !== 'string' && !(value instanceof Uint8Array))
      throw new Error(`${where}: text is wanted, got ${String(value)}`);
    const body = Buffer.from(value as string);
    return Buffer.concat([varint(BigInt(body.length)), body]);
  }
  if (type === 'bool') return varint(value === true || value === 'true' ? 1n : 0n);
  const enumeration = enumOf(type);
  const number = enumeration && typeof value === 'string' ? enumeration.get(value) : value;
  if (!['number', 'bigint', 'string'].includes(typeof number))
    throw new Error(`${where}: a number is wanted, got ${String(value)}`);
  return varint(BigInt(number as number));
}

/** Negative numbers take ten bytes, whatever their type. */
function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  let left = BigInt.asUintN(64, value);
  for (; left > 0x7fn; left >>= 7n) bytes.push(Number(left & 0x7fn) | 0x80);
  bytes.push(Number(left));
  return Buffer.from(bytes);
}

function tag(number: number, type: number): Buffer {
  return varint(BigInt(number * 8 + type));
}

function delimited(number: number, body: Buffer): Buffer {
  return Buffer.concat([tag(number, LENGTH_DELIMITED), varint(BigInt(body.length)), body]);
}
