// ttrpc written and read by hand, for tests that send what no client would.
import assert from 'node:assert/strict';
import type net from 'node:net';
import { ttrpc } from '#proto/ttrpc.js';
import { FrameDecoder, HEADER_BYTES, writeHeader } from '../../agent/rpc/ttrpc/frame.ts';
import { SERVICE } from './fixture-service.ts';

export interface Reply {
  streamId: number;
  code: number;
  message: string;
  payload: string;
}

export function frame(streamId: number, body: Uint8Array, type = 1, flags = 0): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES + body.length);
  writeHeader(bytes, body.length, streamId, type, flags);
  bytes.set(body, HEADER_BYTES);
  return bytes;
}

export function request(
  streamId: number,
  method: string,
  payload: string | Uint8Array = '',
  extra: ttrpc.Request.$Properties = {},
): Buffer {
  return frame(streamId, ttrpc.Request.encode({ service: SERVICE, method, payload: Buffer.from(payload), ...extra }).finish());
}

/** Gathers replies as they come. */
export function replies(socket: net.Socket): Reply[] {
  const seen: Reply[] = [];
  const decoder = new FrameDecoder({
    onFrame: (streamId, type, flags, body) => {
      assert.deepEqual([type, flags], [2, 0]);
      const { status, payload } = ttrpc.Response.decode(body);
      seen.push({
        streamId,
        code: status?.code ?? 0,
        message: status?.message ?? '',
        payload: Buffer.from(payload ?? []).toString(),
      });
    },
    onOversize: () => assert.fail('an answer above the limit'),
  });
  socket.on('data', (chunk) => decoder.push(chunk as Buffer));
  return seen;
}
