// Clients of a serial port that die at a chosen byte.
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { encodeFrame, FRAME_TYPES, FrameReader, PADDING } from '../../agent/transport/serial/frame.ts';

const WINDOW = 65_536;
const NOTHING = Buffer.alloc(0);

/** Opens a session on the port's socket, sends `bytes` bytes of a frame of data of `length`, and is gone. */
export async function dieInsideFrame(path: string, length: number, bytes: number): Promise<void> {
  const session = randomBytes(8).readBigUInt64BE();
  const socket = connect(path);
  const accepted = new Promise<void>((resolve, reject) => {
    const reader = new FrameReader((frame) => {
      if (frame.session === session && frame.type === FRAME_TYPES.accept) resolve();
    });
    socket.on('data', (chunk) => reader.push(chunk));
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('the line was closed before the session was accepted')));
  });
  const open = encodeFrame({ type: FRAME_TYPES.open, session, sent: WINDOW, taken: 0, payload: NOTHING });
  const ask = () => socket.write(Buffer.concat([PADDING, open]));
  ask();
  const again = setInterval(ask, 500);
  await accepted.finally(() => clearInterval(again));
  const data = encodeFrame({ type: FRAME_TYPES.data, session, sent: 0, taken: 0, payload: Buffer.alloc(length) });
  await new Promise<void>((resolve) => socket.write(data.subarray(0, bytes), () => resolve()));
  socket.destroy();
}
