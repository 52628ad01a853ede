// A serial line that is open: frames in, frames out. Always read, so that its end is noticed and sessions bound what is under way.
import type net from 'node:net';
import { readChunks } from '../pipe-handle.ts';
import { type Frame, FrameReader } from './frame.ts';

/**
 * Bytes nobody has taken from us. A session has one window under way, so it is passed only by somebody who goes on sending and reads
 * nothing.
 */
const MAX_UNSENT_BYTES = 4 << 20;

export interface LineEvents {
  onFrame(frame: Frame): void;
  /** Once: the other end has hung up, or the device is gone. */
  onClose(): void;
}

export class Line {
  readonly #socket: net.Socket;
  readonly #reader: FrameReader;

  /** Takes over a socket from which nothing has been read. */
  constructor(idle: net.Socket, events: LineEvents) {
    this.#reader = new FrameReader((frame) => events.onFrame(frame));
    const socket = readChunks(idle, (chunk) => {
      this.#reader.push(chunk);
      return true;
    });
    this.#socket = socket;
    // Ended in order it would be shut down, which a device can't be.
    socket.once('end', () => socket.destroy());
    socket.on('error', () => {});
    socket.once('close', () => events.onClose());
  }

  /** Bytes that belonged to no frame. */
  get skipped(): number {
    return this.#reader.skipped;
  }

  send(bytes: Buffer): void {
    if (this.#socket.destroyed) return;
    this.#socket.write(bytes);
    if (this.#socket.writableLength > MAX_UNSENT_BYTES) this.#socket.destroy();
  }

  /** What was sent is still given to the line, for as long as it takes it. */
  closeWhenSent(): void {
    if (this.#socket.writableLength === 0) this.close();
    else this.#socket.write(Buffer.alloc(0), () => this.close());
  }

  close(): void {
    this.#socket.destroy();
  }
}
