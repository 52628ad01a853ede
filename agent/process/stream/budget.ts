// How many bytes of logs may be held in all, and by one process: a chain of limits. Under pressure acknowledged history goes first, then
// what `latest` logs hold; producers of lossless ones wait for the rest.
// INVARIANT: what is held exceeds a limit by no more than its minimum for each log, so that no log is starved by the others.

const KIB = 1024;
/** design.md §3 */
export const STREAM_LIMIT_BYTES = 256 * KIB;
export const PROCESS_LIMIT_BYTES = 1024 * KIB;
export const TOTAL_LIMIT_BYTES = 32 * 1024 * KIB;
/** A log may always hold this much, whatever the others hold. */
export const STREAM_MINIMUM_BYTES = 16 * KIB;

/** A log, as the budget sees it. */
export interface Holder {
  readonly mode: 'lossless' | 'latest' | 'discard';
  /** Bytes it has now. */
  readonly held: number;
  /** Lets go of up to `bytes` that may go; it tells the budget by `give`. */
  evict(bytes: number): void;
  /** There may be room again, after `take` gave too little. */
  onRoom(): void;
}

export class Budget {
  readonly limit: number;
  readonly #parent: Budget | undefined;
  readonly #minimum: number;
  readonly #holders = new Set<Holder>();
  #waiting = new Set<Holder>();
  #held = 0;

  /** @param minimum what each log may always hold */
  constructor(limit: number, { parent, minimum = STREAM_MINIMUM_BYTES }: { parent?: Budget; minimum?: number } = {}) {
    this.limit = limit;
    this.#parent = parent;
    this.#minimum = minimum;
  }

  /** Bytes held under it. */
  get held(): number {
    return this.#held;
  }

  /** The budget of one process below this one. */
  child(limit: number): Budget {
    return new Budget(limit, { parent: this, minimum: this.#minimum });
  }

  join(holder: Holder): void {
    for (let level: Budget | undefined = this; level !== undefined; level = level.#parent) level.#holders.add(holder);
  }

  /** Everything it held must have been given back. */
  leave(holder: Holder): void {
    for (let level: Budget | undefined = this; level !== undefined; level = level.#parent) {
      level.#holders.delete(holder);
      level.#waiting.delete(holder);
    }
  }

  /**
   * How much of `wanted` the holder may take; makes room by eviction if told. Below `wanted`, `onRoom` will be
   * called. Nothing is reserved: `take` follows at once.
   */
  ask(holder: Holder, wanted: number, evict: boolean): number {
    let granted = wanted;
    for (let level: Budget | undefined = this; level !== undefined; level = level.#parent) {
      const short = wanted - level.#room;
      if (short > 0 && evict) level.#relieve(short);
      granted = Math.min(granted, Math.max(0, level.#room));
    }
    // It may have been its own history that went.
    granted = Math.max(granted, Math.min(wanted, this.#minimum - holder.held));
    if (granted < wanted) {
      for (let level: Budget | undefined = this; level !== undefined; level = level.#parent) level.#waiting.add(holder);
    }
    return granted;
  }

  take(bytes: number): void {
    for (let level: Budget | undefined = this; level !== undefined; level = level.#parent) level.#held += bytes;
  }

  give(bytes: number): void {
    if (bytes === 0) return;
    for (let level: Budget | undefined = this; level !== undefined; level = level.#parent) level.#held -= bytes;
    for (let level: Budget | undefined = this; level !== undefined; level = level.#parent) level.#wake();
  }

  get #room(): number {
    return this.limit - this.#held;
  }

  #relieve(bytes: number): void {
    const until = this.#held - bytes;
    for (const mode of ['lossless', 'latest'] as const) {
      for (const holder of this.#holders) {
        if (this.#held <= until) return;
        if (holder.mode === mode) holder.evict(this.#held - until);
      }
    }
  }

  #wake(): void {
    if (this.#waiting.size === 0 || this.#room <= 0) return;
    const waiting = this.#waiting;
    this.#waiting = new Set();
    for (const holder of waiting) holder.onRoom();
  }
}
