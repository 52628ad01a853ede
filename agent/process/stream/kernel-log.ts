// The log of a pipe or terminal in the kernel. Bytes are spliced into a ring at a position that the kernel itself keeps, so that at every
// instruction each of them is either still with the source or in the log, and what an agent that comes after a crash needs is there.
import { native, type Watch } from '../../../native/index.ts';
import { isErrno } from '../../errors.ts';
import { STREAM_LIMIT_BYTES } from './budget.ts';
import type { LogStore } from './log-store.ts';
import { MemoryRing } from './memory-ring.ts';

export interface KernelLogOptions {
  readonly terminal?: boolean;
  /** Bytes that may be held, as the log's retention says. */
  readonly limit?: number | undefined;
  /** Called just before the source is closed. */
  readonly onSourceClosed?: () => void;
}

export class KernelLog implements LogStore {
  readonly #source: number;
  readonly #onSourceClosed: () => void;
  readonly #ring: MemoryRing;
  /** splice(2) wants a pipe at one side; a terminal is none. */
  readonly #relay: readonly [number, number] | undefined;
  #relayed = 0;
  #sourceOpen = true;

  /** Owns `source`, the reading end of a pipe or a terminal's master. */
  constructor(
    source: number,
    { terminal = false, limit = STREAM_LIMIT_BYTES, onSourceClosed = () => {} }: KernelLogOptions = {},
  ) {
    this.#source = source;
    this.#onSourceClosed = onSourceClosed;
    this.#ring = new MemoryRing(limit);
    this.#relay = terminal ? native().pipe() : undefined;
  }

  append(maxBytes: number): number | 'empty' | 'end' {
    return this.#relay === undefined ? this.#move(this.#source, maxBytes) : this.#moveTerminal(this.#relay, maxBytes);
  }

  readAt(offset: bigint, buffer: Buffer): void {
    this.#ring.readAt(offset, buffer);
  }

  forgetBelow(offset: bigint): void {
    this.#ring.forgetBelow(offset);
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
    this.#ring.close();
  }

  #move(from: number, maxBytes: number): number | 'empty' | 'end' {
    const moved = this.#ring.append(from, maxBytes);
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
