// Files as berth.v1 tells of them, and messages of bulk, put together by hand so that the bytes are not copied.
import { berth } from '#proto/berth.js';
import type { FileFacts, FileType } from '../../guest/files/file-facts.ts';
import type { Encoder } from '../../rpc/service.ts';
import { frameAround, varintLength, writeVarint } from './bulk-frame.ts';
import { refuse } from './process-ref.ts';

const v1 = berth.v1;
const { Type } = v1.FileInfo;

const TYPES: Readonly<Record<FileType, berth.v1.FileInfo.Type>> = {
  regular: Type.TYPE_REGULAR,
  directory: Type.TYPE_DIRECTORY,
  symlink: Type.TYPE_SYMLINK,
  other: Type.TYPE_OTHER,
};

const MODE_BITS = 0o7777;

export function fileMessage({ modifiedNs, type, ...facts }: FileFacts): berth.v1.FileInfo.$Properties {
  return { ...facts, type: TYPES[type], modifiedUnixNs: modifiedNs };
}

export interface FilePlace {
  readonly containerId: string;
  readonly path: string;
}

/** @throws invalid_argument */
export function toPlace(path: berth.v1.FilePath.$Properties | null | undefined, field: string): FilePlace {
  if (!path?.path) refuse(field, 'is missing');
  return { containerId: path.containerId ?? '', path: path.path };
}

/** @throws invalid_argument */
export function toMode(mode: number | null | undefined, absent: number): number {
  if (mode == null) return absent;
  if (mode > MODE_BITS) refuse('mode', `0${mode.toString(8)} has more than permission bits`);
  return mode;
}

/** @throws invalid_argument for what no file can have */
export function toSize(value: bigint | null | undefined, field: string): number {
  const size = Number(value ?? 0n);
  if (!Number.isSafeInteger(size)) refuse(field, `${value} is more than a file can have`);
  return size;
}

/** Bytes of a file or an archive; `room` bytes of their memory before them are free. */
export interface BulkPart {
  readonly kind: 'data';
  /** Told where there is a field for it. */
  readonly offset?: number;
  readonly data: Buffer;
  readonly room: number;
}

/** A message that is not bulk, as the generated code has it. */
export interface Told<Message> {
  readonly kind: 'told';
  readonly message: Message;
}

/** For the prefix of gRPC, two tags, an offset and a length. */
export const HEADROOM_BYTES = 32;

interface Tags {
  readonly offset?: number;
  readonly data: number;
}

/** An encoder of a stream that is mostly bulk. @param tags of the fields: number << 3 | wire type */
export function bulkEncoder<Message>(
  generated: Encoder<Message>,
  tags: Tags,
  asMessage: (part: BulkPart) => Message,
): Encoder<BulkPart | Told<Message>> {
  return {
    encode: (told) => generated.encode(told.kind === 'data' ? asMessage(told) : told.message),
    frame: (told, headroom) => (told.kind === 'data' ? framePart(told, tags, headroom) : undefined),
  };
}

function framePart({ offset, data, room }: BulkPart, tags: Tags, headroom: number): Buffer {
  const place = offset === undefined || tags.offset === undefined ? undefined : BigInt(offset);
  const length = BigInt(data.length);
  const before = headroom + (place === undefined ? 0 : 1 + varintLength(place)) + 1 + varintLength(length);
  const frame = frameAround(data, room, before);
  let at = headroom;
  if (place !== undefined) {
    frame[at++] = tags.offset!;
    at = writeVarint(frame, at, place);
  }
  frame[at++] = tags.data;
  writeVarint(frame, at, length);
  return frame;
}
