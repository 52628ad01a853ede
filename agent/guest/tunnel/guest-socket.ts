// A connected stream socket whose two directions live and end apart. What is not asked for stays with the kernel, so that one that nobody
// reads costs no memory; what can't be written yet is kept, and the owner bounds how much that is.
import { type Native, native, type Watch } from '../../../native/index.ts';
import { errnoOf } from '../../errors.ts';

export type SocketDoor = Pick<
  Native,
  'receive' | 'transmit' | 'shutdownWrites' | 'resetOnClose' | 'isReadable' | 'watchReadable' | 'watchWritable' | 'close'
>;

export interface GuestSocketEvents {
  /** So many bytes more are with the kernel. */
  written(bytes: number): void;
  /** Writing is over: all is written and the end told, or (with the errno) the other side takes no more. Once. */
  writesEnded(errno: string | undefined): void;
}

/** Chunks that wait; many small ones are joined, so that they cost little more than their bytes. */
const MAX_CHUNKS = 64;
/** One for all: what is read is copied out within the call. */
const READ_BUFFER = Buffer.allocUnsafeSlow(64 * 1024);

export class GuestSocket {
  readonly #fd: number;
  readonly #events: GuestSocketEvents;
  readonly #door: SocketDoor;
  readonly #readable: Watch;
  readonly #writable: Watch;
  #whenReadable: (() => void) | undefined;
  #chunks: Buffer[] = [];
  #ending = false;
  #writesOver = false;
  #closed = false;

  /** Owns the descriptor from here on. */
  constructor(fd: number, events: GuestSocketEvents, door: SocketDoor = native()) {
    this.#fd = fd;
    this.#events = events;
    this.#door = door;
    this.#readable = door.watchReadable(fd, () => this.#onReadable());
    this.#readable.pause();
    this.#writable = door.watchWritable(fd, () => this.#flush());
    this.#writable.pause();
  }

  /** Resolves when there are bytes, the end, or an error to be had; and when it is closed. One caller at a time. */
  readable(): Promise<void> {
    if (this.#closed || this.#door.isReadable(this.#fd)) return Promise.resolve();
    return new Promise((resolve) => {
      this.#whenReadable = resolve;
      this.#readable.resume();
    });
  }

  /**
   * What is there, at most `maxBytes` and 64 KiB, in a buffer of its own behind `headroom` bytes.
   * @returns undefined when there is nothing yet @throws a system error
   */
  read(maxBytes: number, headroom: number): Buffer | 'end' | undefined {
    const length = this.#door.receive(this.#fd, READ_BUFFER.subarray(0, Math.min(maxBytes, READ_BUFFER.length)));
    if (length < 0) return undefined;
    if (length === 0) return 'end';
    const data = Buffer.allocUnsafe(headroom + length).subarray(headroom);
    READ_BUFFER.copy(data, 0, 0, length);
    return data;
  }

  /** Takes the bytes over. Ignored once writing is over. */
  write(data: Buffer): void {
    if (this.#writesOver || this.#ending || data.length === 0) return;
    if (this.#chunks.length >= MAX_CHUNKS) this.#chunks = [Buffer.concat(this.#chunks)];
    this.#chunks.push(data);
    if (this.#chunks.length === 1) this.#flush();
  }

  /** The other side reads the end after what has been written. */
  end(): void {
    if (this.#writesOver || this.#ending) return;
    this.#ending = true;
    if (this.#chunks.length === 0) this.#flush();
  }

  /** Idempotent. @param reset the other side is to see that the connection broke; a Unix socket only knows an end */
  close({ reset }: { reset: boolean }): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#writesOver = true;
    this.#chunks = [];
    this.#readable.close();
    this.#writable.close();
    if (reset) this.#door.resetOnClose(this.#fd);
    this.#door.close(this.#fd);
    this.#onReadable();
  }

  #onReadable(): void {
    if (!this.#closed) this.#readable.pause();
    const resolve = this.#whenReadable;
    this.#whenReadable = undefined;
    resolve?.();
  }

  #flush(): void {
    if (this.#writesOver) return;
    let written = 0;
    let ended: { readonly errno: string | undefined } | undefined;
    try {
      for (let [chunk] = this.#chunks; chunk !== undefined; [chunk] = this.#chunks) {
        const sent = this.#door.transmit(this.#fd, chunk);
        if (sent < 0) break;
        written += sent;
        if (sent < chunk.length) this.#chunks[0] = chunk.subarray(sent);
        else this.#chunks.shift();
      }
      if (this.#chunks.length === 0 && this.#ending) {
        this.#door.shutdownWrites(this.#fd);
        ended = { errno: undefined };
      }
    } catch (error) {
      this.#chunks = [];
      ended = { errno: errnoOf(error) ?? 'EIO' };
    }
    this.#writesOver = ended !== undefined;
    if (this.#chunks.length > 0) this.#writable.resume();
    else this.#writable.pause();
    // Last: whoever is told may close.
    if (written > 0) this.#events.written(written);
    if (ended !== undefined) this.#events.writesEnded(ended.errno);
  }
}
