// A client's end of a serial line: asks for a session until it is answered, and makes it a socket.
import { randomBytes } from 'node:crypto';
import type net from 'node:net';
import { AgentError } from '../../errors.ts';
import { type Bridge, bridge } from './bridge.ts';
import { encodeFrame, FRAME_TYPES, type Frame, PADDING } from './frame.ts';
import { Line } from './line.ts';

/** The line may have lost it. Each further time comes after twice the wait: on a slow line what is said in vain is in the way of the rest. */
const ASK_AGAIN_MS = 1_000;
const ASK_AGAIN_AT_LAST_MS = 4_000;
const WINDOW = 256 << 10;
const NOTHING = Buffer.alloc(0);

/**
 * Takes over a line, from whose other end an agent may answer, and gives the connection to it.
 * @throws {AgentError} resource_exhausted when another client has the line; unavailable when the line is closed; the signal's reason
 */
export function openSession(idle: net.Socket, signal: AbortSignal): Promise<net.Socket> {
  // Random and for this attempt alone: frames that still come for an earlier client are nobody's.
  const id = randomBytes(8).readBigUInt64BE();
  const { promise, resolve, reject } = Promise.withResolvers<net.Socket>();
  let made: Bridge | undefined;
  const line: Line = new Line(idle, {
    onFrame: (frame) => {
      if (frame.session !== id) return;
      if (made !== undefined) made.session.receive(frame);
      else answer(frame);
    },
    onClose: () => {
      fail(new AgentError('unavailable', 'the serial line was closed at the other end'));
      made?.session.abort('the line was closed at the other end');
    },
  });
  const answer = (frame: Frame) => {
    if (frame.type === FRAME_TYPES.busy) fail(lineTaken());
    if (frame.type !== FRAME_TYPES.accept || frame.sent === 0) return;
    stopAsking();
    made = bridge(
      { id, window: Math.min(WINDOW, frame.sent) },
      { transmit: (bytes) => line.send(bytes), over: () => line.closeWhenSent() },
    );
    resolve(made.socket);
  };
  let timer: NodeJS.Timeout | undefined;
  const ask = (againMs: number) => {
    timer = setTimeout(ask, againMs, Math.min(2 * againMs, ASK_AGAIN_AT_LAST_MS));
    line.send(PADDING);
    line.send(encodeFrame({ type: FRAME_TYPES.open, session: id, sent: WINDOW, taken: 0, payload: NOTHING }));
  };
  const onAbort = () => fail(signal.reason);
  const stopAsking = () => {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  };
  const fail = (error: unknown) => {
    if (made !== undefined) return;
    stopAsking();
    reject(error);
    line.close();
  };
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  else ask(ASK_AGAIN_MS);
  return promise;
}

/** Not one that may pass by asking again at once: whoever has the line decides when it is free. */
export function lineTaken(): AgentError {
  return new AgentError('resource_exhausted', 'another client is connected, and a serial line takes one at a time');
}
