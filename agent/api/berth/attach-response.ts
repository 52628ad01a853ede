// What an attached client is told, as berth.v1.AttachResponse. Output is put into its message by hand: it is the one that is large, and
// is not copied for it.
import { berth } from '#proto/berth.js';
import type { Encoder } from '../../rpc/service.ts';

import type { AttachEvent, StdinFailure, StreamName } from '../../sandbox/attach-event.ts';
import { frameAround, varintLength, writeVarint } from './bulk-frame.ts';
import { endedMessage } from './process-message.ts';

const v1 = berth.v1;
const { OutputStream } = v1;
const { Reason } = v1.AttachResponse.StdinFailed;

export type AttachMessage =
  | AttachEvent
  | { readonly kind: 'opened'; readonly process: berth.v1.Process.$Properties; readonly stdinWindow: number };

const STREAMS: Readonly<Record<StreamName, berth.v1.OutputStream>> = {
  stdout: OutputStream.OUTPUT_STREAM_STDOUT,
  stderr: OutputStream.OUTPUT_STREAM_STDERR,
};

const REASONS: Readonly<Record<StdinFailure['reason'], berth.v1.AttachResponse.StdinFailed.Reason>> = {
  'reader-gone': Reason.REASON_READER_GONE,
  closed: Reason.REASON_CLOSED,
  hole: Reason.REASON_HOLE,
};

export const attachResponse: Encoder<AttachMessage> = {
  encode: (message) => v1.AttachResponse.encode(toResponse(message)),
  frame: (message, headroom) => (message.kind === 'data' ? frameData(message, headroom) : undefined),
};

function toResponse(message: AttachMessage): berth.v1.AttachResponse.$Properties {
  switch (message.kind) {
    case 'opened':
      return { opened: { process: message.process, stdinWindow: message.stdinWindow } };
    case 'data':
      return { data: { ...message, stream: STREAMS[message.stream] } };
    case 'gap':
      return { gap: { ...message, stream: STREAMS[message.stream] } };
    case 'end':
      return { endOfOutput: { ...message, stream: STREAMS[message.stream], holders: [...message.holders] } };
    case 'held':
      return { outputHeld: { stream: STREAMS[message.stream], holders: [...message.holders] } };
    case 'stdin-accepted':
      return { stdinAccepted: { offset: message.offset } };
    case 'stdin-failed':
      return { stdinFailed: { ...message.failure, reason: REASONS[message.failure.reason] } };
    case 'exit':
      return { exit: endedMessage(message.ended) };
  }
}

/** Tags of fields 2 (data), and 1, 2 and 3 of it (stream, offset, data): number << 3 | wire type (protobuf encoding). */
const TAG = { message: 0x12, stream: 0x08, offset: 0x10, data: 0x1a } as const;

function frameData({ stream, offset, data, headroom: room = 0 }: AttachEvent & { kind: 'data' }, headroom: number): Buffer {
  const inner = 2 + 1 + varintLength(offset) + 1 + varintLength(BigInt(data.length)) + data.length;
  const frame = frameAround(data, room, headroom + 1 + varintLength(BigInt(inner)) + inner - data.length);
  let at = headroom;
  frame[at++] = TAG.message;
  at = writeVarint(frame, at, BigInt(inner));
  frame[at++] = TAG.stream;
  frame[at++] = STREAMS[stream];
  frame[at++] = TAG.offset;
  at = writeVarint(frame, at, offset);
  frame[at++] = TAG.data;
  writeVarint(frame, at, BigInt(data.length));
  return frame;
}
