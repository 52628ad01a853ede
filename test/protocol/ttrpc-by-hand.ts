// ttrpc written and read by hand, for tests that send what no client would.
import assert from 'node:assert/strict';
import type net from 'node:net';
import { ttrpc } from '#proto/ttrpc.js';
import { FrameDecoder, HEADER_BYTES, writeHeader } from '../../agent/rpc/ttrpc/frame.ts';
import { FixtureServer, until } from './fixture-server.ts';
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

/** A server of its own for each test of the suite that calls this, and one connection to it. */
export class FreshConnection {
  server!: FixtureServer;
  socket!: net.Socket;
  /** What has been answered on the connection. */
  seen!: Reply[];

  constructor() {
    beforeEach(async () => {
      this.server = await FixtureServer.start();
      this.socket = await this.server.socket();
      this.seen = replies(this.socket);
    });
    afterEach(() => this.server.stop());
  }

  async answers(count: number): Promise<Reply[]> {
    await until(() => this.seen.length >= count, `${count} answers; there are ${this.seen.length}`);
    return this.seen;
  }

  async answersStill(): Promise<void> {
    const id = 0x7ffffff1;
    this.socket.write(request(id, 'Echo', 'still here'));
    await until(
      () => this.seen.some(({ streamId, payload }) => streamId === id && payload === 'still here'),
      'the connection answers',
    );
  }
}
