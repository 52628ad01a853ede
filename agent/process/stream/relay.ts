// Copies one stream from fd to fd within the kernel, at the pace of the slower side. Nothing is kept: who reads it once has read it.
import { native, type Watch } from '../../../native/index.ts';
import { isErrno } from '../../errors.ts';

/** Moved at once. */
const CHUNK_BYTES = 64 * 1024;
/** Moved before other events of the loop get their chance. */
const TURN_BYTES = 256 * 1024;

/** `ended`: the source came to its end, and all of it was handed on; `broken`: the target takes no more; `closed`: by `close`. */
export type RelayEnd = 'ended' | 'broken' | 'closed';

export interface RelayOptions {
  readonly from: number;
  readonly to: number;
  /** Neither of the two is a pipe (a socket and a terminal): man 2 splice wants one between them. */
  readonly between?: boolean;
}

/** What a move came to. */
type Moved = number | 'empty' | 'full' | 'end' | 'broken';

export class Relay {
  /** Resolves when nothing more is copied; the fds are the caller's then as before. Never rejects. */
  readonly done: Promise<RelayEnd>;
  readonly #from: number;
  readonly #to: number;
  readonly #pipe: readonly [number, number] | undefined;
  readonly #readable: Watch;
  readonly #finish: (end: RelayEnd) => void;
  readonly #writable: Watch | undefined;
  #inPipe = 0;
  #over = false;
  #waitsForRoom = false;
  #moved = 0;

  constructor({ from, to, between = false }: RelayOptions) {
    this.#from = from;
    this.#to = to;
    this.#pipe = between ? native().pipe() : undefined;
    const { promise, resolve } = Promise.withResolvers<RelayEnd>();
    this.done = promise;
    this.#finish = resolve;
    this.#readable = native().watchReadable(from, () => this.#pump());
    this.#writable = watchRoom(to, () => this.#pump());
    this.#writable?.pause();
  }

  /** Bytes handed on so far. */
  get moved(): number {
    return this.#moved;
  }

  /** The target is full. */
  get waitsForRoom(): boolean {
    return this.#waitsForRoom;
  }

  close(): void {
    this.#end('closed');
  }

  #pump(): void {
    for (let left = TURN_BYTES; left > 0; ) {
      const moved = this.#move();
      if (typeof moved === 'number') {
        left -= moved;
        this.#moved += moved;
        continue;
      }
      if (moved === 'end' || moved === 'broken') this.#end(moved === 'end' ? 'ended' : 'broken');
      else this.#waitFor(moved === 'full' ? 'room' : 'bytes');
      return;
    }
  }

  #waitFor(what: 'room' | 'bytes'): void {
    this.#waitsForRoom = what === 'room';
    if (what === 'room') {
      this.#readable.pause();
      this.#writable?.resume();
    } else {
      this.#writable?.pause();
      this.#readable.resume();
    }
  }

  #move(): Moved {
    if (this.#pipe === undefined) return this.#splice(this.#from, this.#to, CHUNK_BYTES);
    const [out, into] = this.#pipe;
    if (this.#inPipe === 0) {
      const taken = this.#splice(this.#from, into, CHUNK_BYTES);
      if (typeof taken !== 'number') return taken === 'full' ? 'empty' : taken;
      this.#inPipe = taken;
    }
    const moved = this.#splice(out, this.#to, this.#inPipe);
    if (typeof moved === 'number') this.#inPipe -= moved;
    return moved;
  }

  #splice(from: number, to: number, maxBytes: number): Moved {
    try {
      const moved = native().splice(from, to, maxBytes);
      if (moved === 0) return 'end';
      if (moved > 0) return moved;
      // Bytes may have come since: a target that always has room is never what it waited for, and could not tell when to go on.
      return this.#writable !== undefined && native().isReadable(from) ? 'full' : 'empty';
    } catch (error) {
      // A terminal whose last slave has closed reads EIO (man 4 pts); a connection that broke has come to its end as well.
      if (from === this.#from && isErrno(error, 'EIO', 'ECONNRESET', 'ETIMEDOUT', 'ENOTCONN')) return 'end';
      return 'broken';
    }
  }

  #end(end: RelayEnd): void {
    if (this.#over) return;
    this.#over = true;
    this.#readable.close();
    this.#writable?.close();
    for (const fd of this.#pipe ?? []) native().close(fd);
    this.#finish(end);
  }
}

/** It makes the target non-blocking. undefined for one that always has room: /dev/null cannot be waited for. */
function watchRoom(fd: number, onWritable: () => void): Watch | undefined {
  try {
    return native().watchWritable(fd, onWritable);
  } catch (error) {
    if (isErrno(error, 'EPERM')) return undefined;
    throw error;
  }
}
