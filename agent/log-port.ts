// The stream of log lines for a host that connects to the log's vsock port. One reader at a time, the newest. Lines wait in a
// bounded queue while nobody reads, whoever reads slowly or not at all holds up nobody, and a reader that lost lines is told how many.
import type { Socket } from 'node:net';
import { createSink, type LineSink, type WriteSome } from './log-sink.ts';

export interface LogPort extends LineSink {
  /** Takes a host's connection over and ends the one before. */
  accept(socket: Socket): void;
  /** Ends the connection; lines are no longer taken. */
  close(): void;
}

/** One write to a reader that has not been taken whole. */
interface Waiting {
  readonly bytes: Buffer;
  readonly done: Parameters<WriteSome>[1];
}

/** @param lostLine makes the line that tells of dropped ones */
export function createLogPort(lostLine: (count: number) => string): LogPort {
  let reader: Socket | undefined;
  let waiting: Waiting | undefined;
  let closed = false;

  const give = (): void => {
    if (!reader || !waiting) return;
    const to = reader;
    const { bytes, done } = waiting;
    to.write(bytes, (error) => {
      // Of a write that a lost connection cut off the next reader gets the whole: a line may come twice, but none is broken or missing.
      if (error || reader !== to || waiting?.bytes !== bytes) return;
      waiting = undefined;
      done(null, bytes.length);
    });
  };
  const sink = createSink((bytes, done) => {
    waiting = { bytes, done };
    give();
  }, lostLine);

  return {
    get lost() {
      return sink.lost;
    },
    write(line) {
      if (!closed) sink.write(line);
    },
    drain: (timeoutMs) => (reader ? sink.drain(timeoutMs) : Promise.resolve(false)),
    accept(socket) {
      if (closed) {
        socket.destroy();
        return;
      }
      const before = reader;
      reader = socket;
      before?.destroy();
      // A break ends in 'close'. What a reader sends is dropped, but has to be read for its leaving to be seen.
      socket.on('error', () => {});
      socket.once('close', () => {
        if (reader === socket) reader = undefined;
      });
      socket.resume();
      give();
    },
    close() {
      closed = true;
      reader?.destroySoon();
      reader = undefined;
    },
  };
}
