// The log of a pipe or terminal in the kernel. Bytes are spliced into a ring at a position that the kernel itself keeps, so that at every
// instruction each of them is either still with the source or in the log, and what an agent that comes after a crash needs is there.
import { native, type Watch } from '../../../native/index.ts';
import { isErrno } from '../../errors.ts';
import { STREAM_LIMIT_BYTES } from './budget.ts';
import type { Slot } from './ledger.ts';
import type { EndReason } from './log-reader.ts';
import type { FoundLog, LogRecord, LogStore } from './log-store.ts';
import { MemoryRing } from './memory-ring.ts';

/** In the slot, behind what the ring notes there: start, acknowledged, dropped, ending. */
const RECORD_NOTE = 1;
const ENDINGS: readonly (EndReason | undefined)[] = [undefined, 'drained', 'closed'];

/** What of a log outlives the agent. */
export interface KeptLog {
  readonly file: number;
  readonly slot: Slot;
  /** Of a terminal: what bytes go through on their way to the file. */
  readonly relay?: readonly [number, number] | undefined;
  /** They are an earlier agent's, with a log in them. */
  readonly adopted: boolean;
}

export interface KernelLogOptions {
  readonly terminal?: boolean;
  /** Bytes that may be held, as the log's retention says. */
  readonly limit?: number | undefined;
  /** Called just before the source is closed. */
  readonly onSourceClosed?: () => void;
  /** Owned from here on. */
  readonly kept?: KeptLog | undefined;
}

export class KernelLog implements LogStore {
  readonly found: FoundLog | undefined;
  readonly #slot: Slot | undefined;
  readonly #source: number;
  readonly #onSourceClosed: () => void;
  readonly #ring: MemoryRing;
  /** splice(2) wants a pipe at one side; a terminal is none. */
  readonly #relay: readonly [number, number] | undefined;
  /** Bytes in it, at most. */
  #relayed = 0;
  #sourceOpen = true;
  #recorded: LogRecord = { start: 0n, acked: 0n, dropped: 0n, ending: undefined };

  /** Owns `source`, the reading end of a pipe or a terminal's master. */
  constructor(
    source: number,
    { terminal = false, limit = STREAM_LIMIT_BYTES, onSourceClosed = () => {}, kept }: KernelLogOptions = {},
  ) {
    this.#source = source;
    this.#onSourceClosed = onSourceClosed;
    this.#slot = kept?.slot;
    this.#ring = new MemoryRing(limit, kept);
    this.#relay = terminal ? (kept?.relay ?? native().pipe()) : undefined;
    if (kept?.adopted) {
      this.found = this.#goOn(kept.slot);
      this.#recorded = this.found;
    }
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

  record(record: LogRecord): void {
    const { start, acked, dropped, ending } = record;
    const last = this.#recorded;
    if (start === last.start && acked === last.acked && dropped === last.dropped && ending === last.ending) return;
    this.#slot?.write(RECORD_NOTE, [start, acked, dropped, BigInt(ENDINGS.indexOf(ending))]);
    this.#recorded = record;
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

  #goOn(slot: Slot): FoundLog {
    this.#relayed = Number.POSITIVE_INFINITY;
    this.#ring.goOn();
    const [start = 0n, acked = 0n, dropped = 0n, ending = 0n] = slot.read(RECORD_NOTE, 4);
    return { start, acked, dropped, ending: ENDINGS[Number(ending)], end: this.#ring.end };
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
    // Until nothing is left in between, across the end of a lap too: of what lies there the terminal would give no notice.
    let total = 0;
    while (this.#relayed > 0 && total < maxBytes) {
      const moved = this.#move(out, maxBytes - total);
      if (typeof moved === 'number') {
        total += moved;
        this.#relayed -= moved;
      } else this.#relayed = 0;
    }
    return total > 0 ? total : this.#moveTerminal([out, into], maxBytes);
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
