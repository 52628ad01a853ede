// The frames of a serial line, which is one endless run of bytes: each says where it begins, whose it is and whether it is whole, so that
// a reader finds the next one after anything else on the line. Pure.
//
//   0 magic B5 53 4C, version 01 | 4 type | 5 zero | 6 length u16 | 8 session u64 | 16 sent u32 | 20 taken u32
//   24 CRC-32 of the payload | 28 CRC-32 of bytes 0 to 27 | 32 payload                               (all big-endian)
//
// `sent` counts the payload bytes of DATA that went before in this session, `taken` those of the other side that the program here has
// read, both modulo 2^32: what is missing shows at the next frame, whatever kind it is, and any frame gives room for more.
import { crc32 } from 'node:zlib';

export const FRAME_TYPES = {
  /** Client to agent; `sent` is the client's window. The session's number is random, and new for each attempt to connect. */
  open: 1,
  /** The agent's yes; `sent` is its window. */
  accept: 2,
  /** The agent's no: another client is alive on this line. */
  busy: 3,
  data: 4,
  /** Gives room, says nothing else. */
  ack: 5,
  /** Nothing more comes from this side; the other way stays open. */
  fin: 6,
  /** There is no such session any more. The payload is the reason, as text. */
  reset: 7,
  ping: 8,
  pong: 9,
} as const;
export type FrameType = (typeof FRAME_TYPES)[keyof typeof FRAME_TYPES];

export interface Frame {
  readonly type: FrameType;
  readonly session: bigint;
  readonly sent: number;
  readonly taken: number;
  readonly payload: Uint8Array;
}

export const HEADER_BYTES = 32;
/** With its header a page: what a virtio-serial port takes from the host at once. */
export const MAX_FRAME_BYTES = 4096;
export const MAX_PAYLOAD_BYTES = MAX_FRAME_BYTES - HEADER_BYTES;

/**
 * Goes ahead of OPEN. A client that died half-way has left a frame open, and the next bytes would be taken for its rest: these fill up
 * any frame there is, whose checksum is then wrong.
 */
export const PADDING = Buffer.alloc(MAX_FRAME_BYTES, 0x55);

const MAGIC = 0xb5534c01;
const MAGIC_FIRST = 0xb5;
const LAST_TYPE = FRAME_TYPES.pong;
const NOTHING = Buffer.alloc(0);

/** Writes a frame at `at` and returns where it ends. */
export function writeFrame(target: Buffer, at: number, { type, session, sent, taken, payload }: Frame): number {
  target.writeUInt32BE(MAGIC, at);
  target.writeUInt8(type, at + 4);
  target.writeUInt8(0, at + 5);
  target.writeUInt16BE(payload.length, at + 6);
  target.writeBigUInt64BE(session, at + 8);
  target.writeUInt32BE(sent >>> 0, at + 16);
  target.writeUInt32BE(taken >>> 0, at + 20);
  target.writeUInt32BE(crc32(payload), at + 24);
  target.writeUInt32BE(crc32(target.subarray(at, at + 28)), at + 28);
  target.set(payload, at + HEADER_BYTES);
  return at + HEADER_BYTES + payload.length;
}

export function encodeFrame(frame: Frame): Buffer {
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + frame.payload.length);
  writeFrame(bytes, 0, frame);
  return bytes;
}

/** Finds the frames in what comes. Holds less than one frame. */
export class FrameReader {
  readonly #onFrame: (frame: Frame) => void;
  #rest: Buffer = NOTHING;
  #skipped = 0;

  /** @param onFrame gets each whole frame; its payload is valid during the call only */
  constructor(onFrame: (frame: Frame) => void) {
    this.#onFrame = onFrame;
  }

  /** Bytes that were no part of a whole frame, padding included. */
  get skipped(): number {
    return this.#skipped;
  }

  push(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#rest = NOTHING;
    let at = 0;
    while (at < bytes.length) {
      const begin = bytes.indexOf(MAGIC_FIRST, at);
      this.#skipped += (begin < 0 ? bytes.length : begin) - at;
      if (begin < 0) return;
      at = begin;
      if (bytes.length - at < HEADER_BYTES) break;
      const length = payloadLength(bytes, at);
      if (length === undefined) {
        this.#skipped += 1;
        at += 1;
        continue;
      }
      const end = at + HEADER_BYTES + length;
      if (end > bytes.length) break;
      const payload = bytes.subarray(at + HEADER_BYTES, end);
      // A frame that is not whole is passed over as one: what looks like a frame inside it may be somebody's data.
      if (crc32(payload) === bytes.readUInt32BE(at + 24)) this.#onFrame(frameAt(bytes, at, payload));
      else this.#skipped += end - at;
      at = end;
    }
    // A copy, since the chunk's memory may be used again.
    if (at < bytes.length) this.#rest = Buffer.from(bytes.subarray(at));
  }
}

/** Undefined where no header is. */
function payloadLength(bytes: Buffer, at: number): number | undefined {
  if (bytes.readUInt32BE(at) !== MAGIC) return undefined;
  if (crc32(bytes.subarray(at, at + 28)) !== bytes.readUInt32BE(at + 28)) return undefined;
  const type = bytes.readUInt8(at + 4);
  const length = bytes.readUInt16BE(at + 6);
  return type >= 1 && type <= LAST_TYPE && length <= MAX_PAYLOAD_BYTES ? length : undefined;
}

function frameAt(bytes: Buffer, at: number, payload: Buffer): Frame {
  return {
    type: bytes.readUInt8(at + 4) as FrameType,
    session: bytes.readBigUInt64BE(at + 8),
    sent: bytes.readUInt32BE(at + 16),
    taken: bytes.readUInt32BE(at + 20),
    payload,
  };
}
