// The Request and Response that ttrpc puts around a message (proto/ttrpc.proto), coded by hand so that the payload is never copied:
// a decoded payload is a view of the frame, and an encoded one is written behind the prefix made here.
import protobuf from 'protobufjs/minimal.js';
import { fromInt64, toInt64 } from '../../../proto/int64.ts';
import type { Status } from '../status.ts';
import { HEADER_BYTES, MESSAGE_REQUEST, MESSAGE_RESPONSE, writeHeader } from './frame.ts';

const { Reader, Writer } = protobuf;

export interface RequestEnvelope {
  service: string;
  method: string;
  payload: Uint8Array;
  /** How long the client will wait; 0 is for ever. */
  timeoutNano: bigint;
  /** Lower-case keys; of a repeated key the last value. */
  metadata: ReadonlyMap<string, string>;
}

export interface ResponseEnvelope {
  /** Undefined on success. */
  status: Status | undefined;
  payload: Uint8Array;
}

const NOTHING: Uint8Array = new Uint8Array(0);
const NO_METADATA: ReadonlyMap<string, string> = new Map();

/** Tags, (field << 3 | 2): all but timeout_nano are length-delimited. */
const REQUEST_SERVICE = 0x0a;
const REQUEST_METHOD = 0x12;
const REQUEST_PAYLOAD = 0x1a;
const REQUEST_TIMEOUT = 0x20;
const REQUEST_METADATA = 0x2a;
const RESPONSE_STATUS = 0x0a;
const RESPONSE_PAYLOAD = 0x12;
const FIRST_STRING = 0x0a;
const SECOND_STRING = 0x12;
const STATUS_CODE = 0x08;

/** @throws {Error} when the bytes are not a Request */
export function decodeRequest(body: Buffer): RequestEnvelope {
  const reader = Reader.create(body);
  const request: RequestEnvelope = { service: '', method: '', payload: NOTHING, timeoutNano: 0n, metadata: NO_METADATA };
  while (reader.pos < reader.len) {
    const tag = reader.tag();
    if (tag === REQUEST_SERVICE) request.service = reader.stringVerify();
    else if (tag === REQUEST_METHOD) request.method = reader.stringVerify();
    else if (tag === REQUEST_PAYLOAD) request.payload = reader.bytes();
    else if (tag === REQUEST_TIMEOUT) request.timeoutNano = fromInt64(reader.int64());
    else if (tag === REQUEST_METADATA) {
      if (request.metadata === NO_METADATA) request.metadata = new Map();
      readKeyValue(reader, request.metadata as Map<string, string>);
    } else skip(reader, tag);
  }
  return request;
}

/** @throws {Error} when the bytes are not a Response */
export function decodeResponse(body: Buffer): ResponseEnvelope {
  const reader = Reader.create(body);
  const response: ResponseEnvelope = { status: undefined, payload: NOTHING };
  while (reader.pos < reader.len) {
    const tag = reader.tag();
    if (tag === RESPONSE_STATUS) response.status = readStatus(reader);
    else if (tag === RESPONSE_PAYLOAD) response.payload = reader.bytes();
    else skip(reader, tag);
  }
  if (response.status?.code === 0) response.status = undefined;
  return response;
}

/** Header and envelope of a request, up to where `payloadLength` bytes of payload follow. */
export function requestPrefix(streamId: number, request: Omit<RequestEnvelope, 'payload'>, payloadLength: number): Buffer {
  const writer = Writer.create();
  writer.uint32(REQUEST_SERVICE).string(request.service).uint32(REQUEST_METHOD).string(request.method);
  if (request.timeoutNano !== 0n) writer.uint32(REQUEST_TIMEOUT).int64(toInt64(request.timeoutNano) as never);
  for (const [key, value] of request.metadata) {
    writer.uint32(REQUEST_METADATA).fork();
    writer.uint32(FIRST_STRING).string(key).uint32(SECOND_STRING).string(value).ldelim();
  }
  if (payloadLength > 0) writer.uint32(REQUEST_PAYLOAD).uint32(payloadLength);
  return frame(streamId, MESSAGE_REQUEST, writer.finish(), payloadLength);
}

/** An OK status, empty as the Rust agent sends it: `status {}`. */
const OK_STATUS = [RESPONSE_STATUS, 0];

/** Header and envelope of a success, up to where `payloadLength` bytes of payload follow. `room` bytes are left for them. */
export function responsePrefix(streamId: number, payloadLength: number, room = 0): Buffer {
  const envelope = OK_STATUS.length + (payloadLength > 0 ? 1 + varintBytes(payloadLength) : 0);
  const prefix = Buffer.allocUnsafe(HEADER_BYTES + envelope + room);
  writeHeader(prefix, envelope + payloadLength, streamId, MESSAGE_RESPONSE);
  prefix[HEADER_BYTES] = OK_STATUS[0]!;
  prefix[HEADER_BYTES + 1] = OK_STATUS[1]!;
  if (payloadLength > 0) {
    let at = HEADER_BYTES + OK_STATUS.length;
    prefix[at++] = RESPONSE_PAYLOAD;
    for (let rest = payloadLength; ; rest >>>= 7) {
      if (rest < 0x80) {
        prefix[at] = rest;
        break;
      }
      prefix[at++] = (rest & 0x7f) | 0x80;
    }
  }
  return prefix;
}

/** A whole frame that tells of a failure. */
export function failureFrame(streamId: number, status: Status): Buffer {
  const writer = Writer.create();
  writer.uint32(RESPONSE_STATUS).fork();
  writer.uint32(STATUS_CODE).int32(status.code).uint32(SECOND_STRING).string(status.message).ldelim();
  return frame(streamId, MESSAGE_RESPONSE, writer.finish(), 0);
}

function frame(streamId: number, type: number, envelope: Uint8Array, payloadLength: number): Buffer {
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + envelope.length);
  writeHeader(bytes, envelope.length + payloadLength, streamId, type);
  bytes.set(envelope, HEADER_BYTES);
  return bytes;
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) bytes++;
  return bytes;
}

function readKeyValue(reader: protobuf.Reader, into: Map<string, string>): void {
  let key = '';
  let value = '';
  readNested(reader, (tag) => {
    if (tag === FIRST_STRING) key = reader.stringVerify();
    else if (tag === SECOND_STRING) value = reader.stringVerify();
    else skip(reader, tag);
  });
  into.set(key.toLowerCase(), value);
}

function readStatus(reader: protobuf.Reader): Status {
  const status = { code: 0, message: '' };
  readNested(reader, (tag) => {
    if (tag === STATUS_CODE) status.code = reader.int32();
    else if (tag === SECOND_STRING) status.message = reader.stringVerify();
    else skip(reader, tag);
  });
  return status;
}

/** Hands the tags of a nested message to `onTag`; nothing can be read past its end. */
function readNested(reader: protobuf.Reader, onTag: (tag: number) => void): void {
  const outer = reader.len;
  const end = reader.uint32() + reader.pos;
  if (end > outer) throw new RangeError('a nested message is longer than the one around it');
  reader.len = end;
  while (reader.pos < end) onTag(reader.tag());
  reader.len = outer;
}

function skip(reader: protobuf.Reader, tag: number): void {
  reader.skipType(tag & 7, 0, tag >>> 3);
}
