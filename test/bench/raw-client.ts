// The floor under every figure: the same sockets with no protocol on them.
import type net from 'node:net';
import { timeEach } from './timing.ts';

/** A small ttrpc call has about this size. */
const ECHO_BYTES = 64;

/** Milliseconds of `count` round trips against a server that sends back what it gets. */
export function echoRoundTrips(socket: net.Socket, count: number): Promise<number[]> {
  const message = Buffer.alloc(ECHO_BYTES, 'berth');
  return timeEach(count, async () => {
    socket.write(message);
    await received(socket, ECHO_BYTES);
  });
}

/** Asks a copy server for `bytes` and returns MB/s. */
export async function copyRate(socket: net.Socket, bytes: number): Promise<number> {
  const from = performance.now();
  socket.write(`${bytes}\n`);
  await received(socket, bytes);
  return bytes / 1e3 / (performance.now() - from);
}

function received(socket: net.Socket, bytes: number): Promise<void> {
  let left = bytes;
  return new Promise((resolve, reject) => {
    const settle = (finish: () => void) => {
      socket.off('data', onData).off('close', onClose);
      finish();
    };
    const onData = (chunk: Buffer) => {
      left -= chunk.length;
      if (left <= 0) settle(resolve);
    };
    const onClose = () => settle(() => reject(new Error(`the connection closed with ${left} bytes to come`)));
    socket.on('data', onData).on('close', onClose);
  });
}
