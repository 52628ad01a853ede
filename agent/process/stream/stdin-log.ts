// A process's standard input: the mirror of an output log. Offsets count its bytes from the first; what is accepted lies in the log until
// the process takes it, and survives the agent.
// INVARIANT: delivered <= accepted <= delivered + limit.
import { AgentError } from '../../errors.ts';
import { STREAM_LIMIT_BYTES } from './budget.ts';
import type { FoundStdin, Notice, StdinStore } from './log-store.ts';

/** `closed`: end of input was asked for; `refused`: the process has closed its end, or is gone. */
export type StdinState = 'open' | 'closed' | 'refused';

/** Writes of one stream that may wait. */
const MAX_WAITING_WRITES = 64;
const CHUNK_BYTES = 64 * 1024;

interface Write {
  /** What is still to be accepted. */
  data: Uint8Array;
  /** Where it begins, until it is its turn. */
  offset: bigint | undefined;
  resolve(accepted: bigint): void;
  reject(error: unknown): void;
}

export class StdinLog {
  readonly #store: StdinStore;
  readonly #limit: number;
  readonly #writable: Notice;
  readonly #listeners = new Set<() => void>();
  #waiting: Write[] = [];
  #state: StdinState = 'open';
  #accepted = 0n;
  #closedAt: bigint | undefined;
  /** Of everything in the log, the end mark included. */
  #written = 0n;
  #moved = 0n;
  #released = false;

  constructor(store: StdinStore, options: { limitBytes?: number } = {}) {
    this.#store = store;
    this.#limit = options.limitBytes ?? STREAM_LIMIT_BYTES;
    this.#writable = store.watch(() => this.#deliver());
    this.#writable.pause();
    if (store.found !== undefined) this.#adopt(store.found);
  }

  get state(): StdinState {
    return this.#state;
  }

  /** Bytes taken over from writers; they survive the agent. */
  get accepted(): bigint {
    return this.#accepted;
  }

  /** Bytes that the kernel has for the process (in its pipe or terminal). */
  get delivered(): bigint {
    return this.#moved < this.#accepted ? this.#moved : this.#accepted;
  }

  /**
   * Takes `data`, waiting while too much waits for the process. Resolves with the `accepted` it led to. With an offset, what lies below
   * `accepted` is a repetition and is dropped.
   * @throws out_of_range, naming the offset wanted, for a hole; failed_precondition after close or when nobody reads any more;
   * resource_exhausted when too many writers wait; the signal's reason: what was accepted till then is told by `accepted`
   */
  write(data: Uint8Array, { offset, signal }: { offset?: bigint; signal?: AbortSignal } = {}): Promise<bigint> {
    return new Promise((resolve, reject) => {
      this.#check();
      if (signal?.aborted) throw signal.reason;
      const write: Write = { data, offset, resolve, reject };
      const onAbort = () => {
        const at = this.#waiting.indexOf(write);
        if (at < 0) return;
        this.#waiting.splice(at, 1);
        reject(signal?.reason);
        this.#acceptWaiting();
      };
      this.#waiting.push(write);
      this.#acceptWaiting();
      if (!this.#waiting.includes(write) || signal === undefined) return;
      signal.addEventListener('abort', onAbort, { once: true });
      const forget = () => signal.removeEventListener('abort', onAbort);
      write.resolve = (accepted) => {
        forget();
        resolve(accepted);
      };
      write.reject = (error) => {
        forget();
        reject(error);
      };
    });
  }

  /** End of input after what was accepted, or after `atOffset`. Repeating it is fine. @throws out_of_range when that is not `accepted` */
  close(atOffset?: bigint): void {
    if (atOffset !== undefined && atOffset !== this.#accepted) throw hole(atOffset, this.#accepted);
    if (this.#state !== 'open') return;
    this.#state = 'closed';
    this.#closedAt = this.#accepted;
    this.#store.record?.({ state: 'closed', closedAt: this.#closedAt });
    this.#rejectWaiting(() => writerGone());
    this.#writeEndMark();
    this.#deliver();
    this.#tell();
  }

  /** Calls back after each change of `state` and `delivered`; returns what ends that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Lets go of everything, whatever is undelivered: the process is removed. */
  destroy(): void {
    this.#refuse();
  }

  /** Goes on with an earlier agent's input. */
  #adopt({ state, closedAt, written, moved }: FoundStdin): void {
    this.#written = written;
    this.#moved = moved;
    this.#closedAt = closedAt;
    this.#accepted = closedAt ?? written;
    if (state === 'refused') {
      this.#refuse();
      return;
    }
    this.#state = state;
    if (state === 'closed' && this.#written === this.#accepted) this.#writeEndMark();
    if (state === 'closed' || this.#moved < this.#written) this.#deliver();
  }

  #writeEndMark(): void {
    const { endMark } = this.#store;
    if (endMark === undefined) return;
    this.#store.writeAt(this.#written, endMark);
    this.#written += BigInt(endMark.length);
  }

  #check(): void {
    if (this.#state === 'closed') throw writerGone();
    if (this.#state === 'refused') throw readerGone();
    if (this.#waiting.length >= MAX_WAITING_WRITES) {
      throw new AgentError('resource_exhausted', `more than ${MAX_WAITING_WRITES} writes wait on this stdin`, {
        fields: { limit: 'writes-per-stdin' },
      });
    }
  }

  #acceptWaiting(): void {
    for (let write = this.#waiting[0]; write !== undefined && this.#state === 'open'; write = this.#waiting[0]) {
      if (!this.#begin(write)) continue;
      const room = this.#limit - Number(this.#written - this.#moved);
      if (write.data.length > 0 && room <= 0) return;
      const part = write.data.subarray(0, room);
      if (part.length > 0) this.#accept(part);
      // The process may have closed its end: then this write was turned down along with the others.
      if (this.#waiting[0] !== write) return;
      write.data = write.data.subarray(part.length);
      if (write.data.length > 0) continue;
      this.#waiting.shift();
      write.resolve(this.#accepted);
    }
  }

  /** Leaves out what repeats; false when there is a hole before it. */
  #begin(write: Write): boolean {
    const { offset } = write;
    if (offset === undefined) return true;
    if (offset > this.#accepted) {
      this.#waiting.shift();
      write.reject(hole(offset, this.#accepted));
      return false;
    }
    const known = this.#accepted - offset;
    write.data = write.data.subarray(known < BigInt(write.data.length) ? Number(known) : write.data.length);
    write.offset = undefined;
    return true;
  }

  #accept(part: Uint8Array): void {
    this.#store.writeAt(this.#written, part);
    this.#written += BigInt(part.length);
    this.#accepted = this.#written;
    this.#deliver();
  }

  #deliver(): void {
    if (this.#released) return;
    const before = this.#moved;
    let full = false;
    while (this.#moved < this.#written) {
      const left = this.#written - this.#moved;
      const moved = this.#store.deliver(left < BigInt(CHUNK_BYTES) ? Number(left) : CHUNK_BYTES);
      if (moved === 'gone') {
        this.#refuse();
        return;
      }
      if (moved === 'full') {
        full = true;
        break;
      }
      this.#moved += BigInt(moved);
    }
    if (full) this.#writable.resume();
    else this.#writable.pause();
    if (this.#moved > before) {
      this.#store.forgetBelow(this.#moved);
      this.#tell();
    }
    if (!full && this.#state === 'closed') this.#release();
    else if (this.#moved > before) queueMicrotask(() => this.#acceptWaiting());
  }

  #refuse(): void {
    if (this.#state === 'refused') return;
    this.#state = 'refused';
    this.#store.record?.({ state: 'refused', closedAt: this.#closedAt });
    this.#release();
    this.#rejectWaiting(readerGone);
    this.#tell();
  }

  #release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#writable.close();
    this.#store.close();
  }

  #rejectWaiting(error: () => AgentError): void {
    for (const write of this.#waiting.splice(0)) write.reject(error());
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}

function writerGone(): AgentError {
  return new AgentError('failed_precondition', 'Cannot get writer: stdin is closed');
}

function readerGone(): AgentError {
  return new AgentError('failed_precondition', 'EPIPE: nobody reads stdin any more');
}

function hole(offset: bigint, wanted: bigint): AgentError {
  return new AgentError('out_of_range', `stdin goes on at offset ${wanted}, not ${offset}`, {
    fields: { field: 'offset', offset, wanted },
  });
}
