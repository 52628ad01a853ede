// 64-bit integers of generated messages are bigint, exact in both directions. protobufjs knows only Long and number, so
// scripts/build-proto.ts rewrites its output to call these. They refuse what does not fit, where Long would wrap round.

/** What protobufjs reads and writes: two 32-bit halves. */
interface Halves {
  low: number;
  high: number;
}

/** Packed or single reads as protobufjs's Reader has them. */
interface PackedReader {
  int64s(into: unknown[]): void;
  uint64s(into: unknown[]): void;
}

export function fromInt64(value: Halves): bigint {
  return (BigInt(value.high | 0) << 32n) | BigInt(value.low >>> 0);
}

export function fromUint64(value: Halves): bigint {
  return (BigInt(value.high >>> 0) << 32n) | BigInt(value.low >>> 0);
}

/** @throws {RangeError} when `value` is not a signed 64-bit integer */
export function toInt64(value: bigint): Halves {
  if (BigInt.asIntN(64, value) !== value) throw new RangeError(`${value} does not fit an int64`);
  return halves(value);
}

/** @throws {RangeError} when `value` is not an unsigned 64-bit integer */
export function toUint64(value: bigint): Halves {
  if (BigInt.asUintN(64, value) !== value) throw new RangeError(`${value} does not fit a uint64`);
  return halves(value);
}

/** Appends a packed field to `into`. */
export function readInt64s(reader: PackedReader, into: bigint[]): void {
  const values: Halves[] = [];
  reader.int64s(values);
  for (const value of values) into.push(fromInt64(value));
}

/** Appends a packed field to `into`. */
export function readUint64s(reader: PackedReader, into: bigint[]): void {
  const values: Halves[] = [];
  reader.uint64s(values);
  for (const value of values) into.push(fromUint64(value));
}

function halves(value: bigint): Halves {
  return { low: Number(BigInt.asIntN(32, value)), high: Number(BigInt.asIntN(32, value >> 32n)) };
}
