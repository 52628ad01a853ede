// Messages that are mostly bytes are put together by hand, in the room that was left before the bytes: nothing is copied for it.

/** `before` bytes to be filled and then the data: in the room before it where there is enough, else in a copy. */
export function frameAround(data: Buffer, room: number, before: number): Buffer {
  if (room >= before) return Buffer.from(data.buffer, data.byteOffset - before, before + data.length);
  return Buffer.concat([Buffer.allocUnsafe(before), data]);
}

export function varintLength(value: bigint): number {
  let length = 1;
  for (let left = value >> 7n; left > 0n; left >>= 7n) length++;
  return length;
}

/** Returns where it ends. */
export function writeVarint(buffer: Buffer, at: number, value: bigint): number {
  let left = value;
  while (left > 0x7fn) {
    buffer[at++] = Number(left & 0x7fn) | 0x80;
    left >>= 7n;
  }
  buffer[at++] = Number(left);
  return at;
}
