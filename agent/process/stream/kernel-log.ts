// The log of a pipe or terminal as a file in the kernel. Bytes are spliced at the file's own position, so that at every instruction each of
// them is either still with the source or in the log, and the position is the log's end: what an agent that comes after a crash needs.
import { native, type Watch } from '../../../native/index.ts';
import { isErrno } from '../../errors.ts';
import type { LogStore } from './log-store.ts';
import { MemoryFile } from './memory-file.ts';

export class KernelLog implements LogStore {
  readonly #source: number;
  readonly #onSourceClosed: () => void;
  readonly #file = new MemoryFile();
  /** splice(2) wants a pipe at one side; a terminal is none. */
  readonly #relay: readonly [number, number] | undefined;
  #relayed = 0;
  #appended = false;
  #sourceOpen = true;

  /** Owns `source`, the reading end of a pipe or a terminal's master; `onSourceClosed` is called just before it is closed. */
  constructor(source: number, { terminal = false, onSourceClosed = () => {} } = {}) {
    this.#source = source;
    this.#onSourceClosed = onSourceClosed;
    this.#relay = terminal ? native().pipe() : undefined;
  }

  append(maxBytes: number): number | 'empty' | 'end' {
    const moved = this.#relay === undefined ? this.#move(this.#source, maxBytes) : this.#moveTerminal(this.#relay, maxBytes);
    if (typeof moved === 'number') this.#appended = true;
    else if (!this.#appended) this.#file.handBack();
    return moved;
  }

  readAt(offset: bigint, buffer: Buffer): void {
    const door = native();
    for (let done = 0; done < buffer.length; ) {
      const part = done === 0 ? buffer : buffer.subarray(done);
      const got = door.readAt(this.#file.fd, part, offset + BigInt(done));
      if (got === 0) throw new RangeError(`the log ends before ${offset + BigInt(buffer.length)}`);
      done += got;
    }
  }

  forgetBelow(offset: bigint): void {
    this.#file.forgetBelow(offset);
  }

  watch(onReadable: () => void): Watch {
    return native().watchReadable(this.#source, onReadable);
  }

  closeSource(): void {
    if (!this.#sourceOpen) return;
    this.#sourceOpen = false;
    this.#onSourceClosed();
    for (const fd of [this.#source, ...(this.#relay ?? [])]) native().close(fd);
  }

  close(): void {
    this.closeSource();
    this.#file.close();
  }

  #move(from: number, maxBytes: number): number | 'empty' | 'end' {
    const moved = native().splice(from, this.#file.fd, maxBytes);
    if (moved < 0) return 'empty';
    return moved === 0 ? 'end' : moved;
  }

  #moveTerminal([out, into]: readonly [number, number], maxBytes: number): number | 'empty' | 'end' {
    if (this.#relayed === 0) {
      const taken = this.#takeFromTerminal(into, maxBytes);
      if (typeof taken !== 'number') return taken;
      this.#relayed = taken;
    }
    const moved = this.#move(out, maxBytes);
    if (typeof moved === 'number') this.#relayed -= moved;
    return moved;
  }

  #takeFromTerminal(into: number, maxBytes: number): number | 'empty' | 'end' {
    try {
      const taken = native().splice(this.#source, into, maxBytes);
      if (taken < 0) return 'empty';
      return taken === 0 ? 'end' : taken;
    } catch (error) {
      // The last slave has closed (man 4 pts): that is a terminal's end of output.
      if (isErrno(error, 'EIO')) return 'end';
      throw error;
    }
  }
}
