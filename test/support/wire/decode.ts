// Protobuf bytes to plain values, by the same table of facts as encode.ts, and by no codec of the agent or its client.
import { enumOf, type Field, fieldsOf, isMessage } from './schema.ts';

/** 64-bit numbers beyond 2^53 are decimal text. Bytes are Buffers. */
export type Decoded = boolean | number | string | Buffer | Decoded[] | { [name: string]: Decoded } | null;

type Fields = { [name: string]: Decoded };

/** Every field is there: zero, empty, or null for a message or an optional one that was left out. Unknown fields are skipped. */
export function decode(message: string, bytes: Uint8Array): Fields {
  const fields = fieldsOf(message);
  const result: Fields = Object.fromEntries(fields.map((field) => [field.name, initial(field)]));
  const reader = new Reader(bytes, message);
  while (!reader.done) {
    const key = Number(reader.varint());
    const field = fields.find(({ number }) => number === key >> 3);
    const raw = reader.value(key & 7);
    if (field) take(result, field, raw);
  }
  return result;
}

function initial(field: Field): Decoded {
  if (field.mapKey !== undefined) return {};
  if (field.repeated) return [];
  if (field.presence || isMessage(field.type)) return null;
  if (field.type === 'string') return '';
  if (field.type === 'bytes') return Buffer.alloc(0);
  return field.type === 'bool' ? false : 0;
}

function take(result: Fields, field: Field, raw: bigint | Buffer): void {
  const { name } = field;
  if (field.mapKey !== undefined) {
    const [key, value] = mapEntry(field, raw as Buffer);
    (result[name] as Fields)[key] = value;
  } else if (!field.repeated) {
    result[name] = single(field.type, raw);
  } else if (typeof raw !== 'bigint' && !isMessage(field.type) && field.type !== 'string' && field.type !== 'bytes') {
    const packed = new Reader(raw, name);
    while (!packed.done) (result[name] as Decoded[]).push(single(field.type, packed.varint()));
  } else {
    (result[name] as Decoded[]).push(single(field.type, raw));
  }
}

function mapEntry(field: Field, bytes: Buffer): [string, Decoded] {
  const reader = new Reader(bytes, field.name);
  let key = '';
  let value = initial({ ...field, mapKey: undefined, repeated: false, presence: false });
  while (!reader.done) {
    const tag = Number(reader.varint());
    const raw = reader.value(tag & 7);
    if (tag >> 3 === 1) key = String(single(field.mapKey!, raw));
    else value = single(field.type, raw);
  }
  return [key, value];
}

function single(type: string, raw: bigint | Buffer): Decoded {
  if (isMessage(type)) return decode(type, raw as Buffer);
  if (type === 'string') return new TextDecoder('utf-8', { fatal: true }).decode(raw as Buffer);
  if (type === 'bytes') return Buffer.from(raw as Buffer);
  if (typeof raw !== 'bigint') throw new Error(`${type}: a number is wanted`);
  if (type === 'bool') return raw !== 0n;
  if (type === 'int32' || enumOf(type)) return Number(BigInt.asIntN(32, raw));
  if (type === 'uint32') return Number(BigInt.asUintN(32, raw));
  const wide = type === 'int64' ? BigInt.asIntN(64, raw) : BigInt.asUintN(64, raw);
  const number = Number(wide);
  return Number.isSafeInteger(number) ? number : String(wide);
}

class Reader {
  readonly #bytes: Buffer;
  readonly #what: string;
  #at = 0;

  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#what = what;
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  varint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) break;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw new Error(`${this.#what}: a number does not end`);
  }

  value(wireType: number): bigint | Buffer {
    if (wireType === 0) return this.varint();
    if (wireType === 1) return this.#fixed(8);
    if (wireType === 5) return this.#fixed(4);
    if (wireType === 2) return this.#fixed(Number(this.varint()));
    throw new Error(`${this.#what}: wire type ${wireType} does not exist`);
  }

  #fixed(length: number): Buffer {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new Error(`${this.#what}: ends inside a field`);
    const part = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return part;
  }
}
