// Stores of logs in memory, and a clock that moves when told: what the simulated tests run the real core on. They keep the kernel's
// promises (a byte is with the source or in the log) and break what may break: sources that give little, nothing, or fail.
import type { Clock, LogStore, Notice, StdinStore } from '../../../../agent/process/stream/log-store.ts';

export class TestClock implements Clock {
  #now = 0;
  #timers: { at: number; callback: () => void }[] = [];

  setTimeout(callback: () => void, ms: number) {
    const timer = { at: this.#now + ms, callback };
    this.#timers.push(timer);
    return {
      cancel: () => {
        this.#timers = this.#timers.filter((other) => other !== timer);
      },
    };
  }

  get pending(): number {
    return this.#timers.length;
  }

  advance(ms: number): void {
    const until = this.#now + ms;
    for (;;) {
      const due = this.#timers.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.#timers = this.#timers.filter((other) => other !== due);
      this.#now = due.at;
      due.callback();
    }
    this.#now = until;
  }
}

class Switch implements Notice {
  on = true;
  closed = false;
  pause(): void {
    this.on = false;
  }
  resume(): void {
    this.on = true;
  }
  close(): void {
    this.closed = true;
  }
}

/** What one append may go wrong with. */
export type Fault = 'short' | 'empty' | 'error';

/** A process that writes, its pipe, and the log. */
export class MemoryStore implements LogStore {
  /** Bytes at offsets, to be checked against what was written. */
  readonly log = new Map<bigint, number>();
  readonly switch = new Switch();
  /** Of the next appends. */
  faults: Fault[] = [];
  closedSource = false;
  closed = false;
  readonly #pipeBytes: number;
  #pipe: number[] = [];
  #end = 0n;
  #forgotten = 0n;
  #writersClosed = false;
  #onReadable: () => void = () => {};

  constructor(pipeBytes = 64 * 1024) {
    this.#pipeBytes = pipeBytes;
  }

  /** The process writes; returns how much went in. What does not fit waits, as write(2) would. */
  write(data: Uint8Array): number {
    if (this.closedSource) throw new Error('EPIPE');
    const room = this.#pipeBytes - this.#pipe.length;
    const part = data.subarray(0, room);
    for (const byte of part) this.#pipe.push(byte);
    return part.length;
  }

  closeWriters(): void {
    this.#writersClosed = true;
  }

  /** What the event loop does: calls back when there is reason to, and somebody asked. */
  poll(): void {
    if (!this.switch.on || this.switch.closed) return;
    if (this.#pipe.length > 0 || this.#writersClosed) this.#onReadable();
  }

  append(maxBytes: number): number | 'empty' | 'end' {
    if (this.closed) throw new Error('append to a closed store');
    const fault = this.faults.shift();
    if (fault === 'error') throw new Error('ENOMEM');
    if (fault === 'empty') return 'empty';
    if (this.#pipe.length === 0) return this.#writersClosed ? 'end' : 'empty';
    const moved = this.#pipe.splice(0, fault === 'short' ? Math.max(1, maxBytes >> 3) : maxBytes);
    for (const byte of moved) this.log.set(this.#end++, byte);
    return moved.length;
  }

  readAt(offset: bigint, buffer: Buffer): void {
    for (let at = 0; at < buffer.length; at++) {
      const byte = this.log.get(offset + BigInt(at));
      if (byte === undefined) throw new Error(`offset ${offset + BigInt(at)} is not in the log`);
      buffer[at] = byte;
    }
  }

  forgetBelow(offset: bigint): void {
    for (; this.#forgotten < offset; this.#forgotten++) this.log.delete(this.#forgotten);
  }

  watch(onReadable: () => void): Notice {
    this.#onReadable = onReadable;
    return this.switch;
  }

  closeSource(): void {
    this.closedSource = true;
  }

  close(): void {
    this.closedSource = true;
    this.closed = true;
  }
}

/** A process that reads its input, at its pace. */
export class MemoryStdin implements StdinStore {
  readonly endMark: Uint8Array | undefined = undefined;
  readonly switch = new Switch();
  /** What the process has read. */
  readonly read: number[] = [];
  readerGone = false;
  closed = false;
  most = 0;
  readonly #pipeBytes: number;
  readonly #log: number[] = [];
  #position = 0;
  #pipe: number[] = [];
  #onWritable: () => void = () => {};

  constructor(pipeBytes = 64 * 1024) {
    this.#pipeBytes = pipeBytes;
  }

  /** The process reads. */
  take(bytes: number): void {
    this.read.push(...this.#pipe.splice(0, bytes));
  }

  poll(): void {
    if (this.switch.on && !this.switch.closed && (this.readerGone || this.#pipe.length < this.#pipeBytes)) this.#onWritable();
  }

  writeAt(offset: bigint, data: Uint8Array): void {
    if (offset !== BigInt(this.#log.length)) throw new Error(`written at ${offset}, the log ends at ${this.#log.length}`);
    for (const byte of data) this.#log.push(byte);
    this.most = Math.max(this.most, this.#log.length - this.#position);
  }

  deliver(maxBytes: number): number | 'full' | 'gone' {
    if (this.readerGone) return 'gone';
    const moved = Math.min(maxBytes, this.#pipeBytes - this.#pipe.length);
    if (moved === 0) return 'full';
    this.#pipe.push(...this.#log.slice(this.#position, this.#position + moved));
    this.#position += moved;
    return moved;
  }

  forgetBelow(): void {}

  watch(onWritable: () => void): Notice {
    this.#onWritable = onWritable;
    return this.switch;
  }

  close(): void {
    this.closed = true;
  }
}
