// ttrpc frames as bytes (containerd/ttrpc, PROTOCOL.md): a header of ten bytes and the envelope. Written for the tests alone, from the
// protocol's definition.
import { decode } from '../../support/wire/decode.ts';
import { encode, type FieldOrder, type Value } from '../../support/wire/encode.ts';
import { RPCS } from '../runner/target.ts';

export const HEADER_BYTES = 10;
const REQUEST = 1;
const RESPONSE = 2;

export interface Sent {
  readonly streamId: number;
  readonly call: string;
  readonly bytes: Buffer;
}

export interface Received {
  readonly streamId: number;
  readonly code: number;
  readonly message: string;
  readonly payload: Buffer;
}

export function requestFrame(streamId: number, call: string, request: Value, timeoutNs: number, order: FieldOrder): Sent {
  const rpc = RPCS.get(call);
  if (!rpc) throw new Error(`there is no RPC ${call}`);
  const body = encode(
    'ttrpc.Request',
    { service: rpc.service, method: call, payload: encode(rpc.request, request, order), timeout_nano: timeoutNs },
    order,
  );
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32BE(body.length, 0);
  header.writeUInt32BE(streamId, 4);
  header[8] = REQUEST;
  return { streamId, call, bytes: Buffer.concat([header, body]) };
}

/** Takes whole frames off the front of `bytes`. @throws for what no server may send */
export function takeResponses(bytes: Buffer): { frames: Received[]; rest: Buffer } {
  const frames: Received[] = [];
  let at = 0;
  while (bytes.length - at >= HEADER_BYTES) {
    const length = bytes.readUInt32BE(at);
    if (bytes.length - at - HEADER_BYTES < length) break;
    const [type, flags] = [bytes[at + 8], bytes[at + 9]];
    if (type !== RESPONSE || flags !== 0) throw new Error(`a frame of type ${type} with flags ${flags}`);
    const envelope = decode('ttrpc.Response', bytes.subarray(at + HEADER_BYTES, at + HEADER_BYTES + length));
    const status = envelope['status'] as { code: number; message: string } | null;
    frames.push({
      streamId: bytes.readUInt32BE(at + 4),
      code: status?.code ?? 0,
      message: status?.message ?? '',
      payload: envelope['payload'] as Buffer,
    });
    at += HEADER_BYTES + length;
  }
  return { frames, rest: bytes.subarray(at) };
}
