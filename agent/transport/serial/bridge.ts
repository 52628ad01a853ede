// Makes a session an ordinary connected socket: one end of a socket pair is its program's, who never learns of the line; this moves the bytes
// between the other end and the session.
import type net from 'node:net';
import { native } from '../../../native/index.ts';
import { readChunks, socketFromFd } from '../pipe-handle.ts';
import { Session, type SessionOptions } from './session.ts';

const TICK_MS = 1_000;
const NOTHING = Buffer.alloc(0);

export interface BridgeEvents {
  transmit(bytes: Buffer): void;
  /** Once. Without a reason both sides had ended. */
  over(reason?: string): void;
}

export interface Bridge {
  readonly session: Session;
  /** The program's end. */
  readonly socket: net.Socket;
}

export function bridge(options: SessionOptions, { transmit, over }: BridgeEvents): Bridge {
  const [ours, theirs] = native().socketPair();
  const session: Session = new Session(options, {
    transmit,
    deliver: (payload) => {
      const { length } = payload;
      pump.write(Buffer.from(payload), (error) => {
        if (!error) session.taken(length);
      });
    },
    end: () => pump.end(),
    drained: () => pump.resume(),
    over: (reason) => {
      clearInterval(timer);
      if (reason === undefined) pump.end();
      else pump.destroy();
      over(reason);
    },
  });
  let ended = false;
  const pump = readChunks(socketFromFd(ours), (chunk) => session.write(Buffer.from(chunk)));
  pump.allowHalfOpen = true;
  pump.once('end', () => {
    ended = true;
    session.end();
  });
  pump.on('error', () => {});
  // One that has ended both ways closes while the line may still have bytes of it to carry.
  pump.once('close', (failed: boolean) => {
    if (failed || !ended) session.reset('the connection was closed');
  });
  const timer = setInterval(() => {
    session.tick();
    // A program that has gone looks like one that has ended its half, but nothing can be written to it: not even nothing.
    if (ended && !pump.writableEnded) pump.write(NOTHING);
  }, TICK_MS);
  return { session, socket: socketFromFd(theirs) };
}
