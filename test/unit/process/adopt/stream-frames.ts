// Messages between a client and the agent of killed-agent.spec.ts: a kind, an offset, bytes.
const KINDS = ['read', 'ack', 'write', 'close', 'data', 'end', 'accepted', 'stdin-closed'] as const;
const HEADER_BYTES = 13;

export interface Frame {
  readonly kind: (typeof KINDS)[number];
  readonly offset: bigint;
  readonly data: Buffer;
}

export function frame(kind: Frame['kind'], offset: bigint, data: Uint8Array = Buffer.alloc(0)): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt8(KINDS.indexOf(kind), 0);
  header.writeBigUInt64LE(offset, 1);
  header.writeUInt32LE(data.length, 9);
  return Buffer.concat([header, data]);
}

/** What comes whole; the rest goes with a connection that breaks. */
export async function* frames(connection: AsyncIterable<Buffer>): AsyncGenerator<Frame> {
  let rest = Buffer.alloc(0);
  for await (const chunk of connection) {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= HEADER_BYTES) {
      const length = HEADER_BYTES + rest.readUInt32LE(9);
      if (rest.length < length) break;
      yield { kind: KINDS[rest.readUInt8(0)]!, offset: rest.readBigUInt64LE(1), data: rest.subarray(HEADER_BYTES, length) };
      rest = rest.subarray(length);
    }
  }
}
