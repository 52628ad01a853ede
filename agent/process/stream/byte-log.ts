// Which bytes of one output stream are kept: pure arithmetic on offsets, no bytes. Offsets count from the stream's first byte.
// INVARIANTS: start <= end; at most `limit` bytes are held, but for what a reader that came back claims again; in lossless mode nothing
// that the primary reader has not acknowledged goes, so the producer waits instead.

/**
 * `lossless`: the producer is held back while the primary reader is behind; `latest`: the oldest bytes go, counted; `discard`: nothing is
 * kept, counted.
 */
export type DeliveryMode = 'lossless' | 'latest' | 'discard';

export interface Retention {
  readonly mode: DeliveryMode;
  /** Bytes held at most. */
  readonly limit: number;
  /** Acknowledged bytes that stay all the same, as long as there is room. */
  readonly history: number;
}

export class ByteLog {
  readonly retention: Retention;
  #start = 0n;
  #end = 0n;
  #acked = 0n;
  #dropped = 0n;

  /** @param found of an earlier agent that may have been killed after bytes came and before it had let go of others */
  constructor(retention: Retention, found?: { start: bigint; end: bigint; acked: bigint; dropped: bigint }) {
    this.retention = retention;
    if (found === undefined) return;
    this.#start = found.start;
    this.#end = found.end;
    this.#acked = found.acked;
    this.#dropped = found.dropped;
    this.append(0);
  }

  get start(): bigint {
    return this.#start;
  }

  get end(): bigint {
    return this.#end;
  }

  /** Below this the primary reader needs nothing any more. */
  get acked(): bigint {
    return this.#acked;
  }

  /** Bytes that went unacknowledged. */
  get dropped(): bigint {
    return this.#dropped;
  }

  get held(): number {
    return Number(this.#end - this.#start);
  }

  /** Held bytes that may go without anybody losing what was promised. */
  get evictable(): number {
    const { mode } = this.retention;
    if (mode !== 'lossless') return this.held;
    return this.#acked > this.#start ? Number(this.#acked - this.#start) : 0;
  }

  /** How many bytes may be taken from the producer now. */
  get room(): number {
    const { mode, limit } = this.retention;
    if (mode !== 'lossless') return limit;
    return Math.max(0, limit - Number(this.#end - this.#acked));
  }

  append(bytes: number): void {
    this.#end += BigInt(bytes);
    if (this.retention.mode === 'discard') this.#forgetBelow(this.#end);
    else this.#trim();
  }

  /** The primary reader needs nothing below `offset`. Never goes back. */
  ack(offset: bigint): void {
    if (offset <= this.#acked) return;
    this.#acked = offset;
    this.#trim();
  }

  /** A new primary reader begins at `offset`, which may be below what the last one acknowledged. */
  claim(offset: bigint): void {
    this.#acked = offset;
    this.#trim();
  }

  /** Lets go of up to `bytes` of what is evictable, oldest first. */
  evict(bytes: number): void {
    this.#forgetBelow(this.#start + BigInt(Math.min(bytes, this.evictable)));
  }

  #trim(): void {
    const { mode, limit, history } = this.retention;
    const tail = this.#end - BigInt(limit);
    const old = this.#acked - BigInt(history);
    const floor = mode === 'latest' || tail > old ? tail : old;
    // What a reader that came back claimed again below the limit's tail is owed all the same.
    this.#forgetBelow(mode === 'latest' || floor < this.#acked ? floor : this.#acked);
  }

  #forgetBelow(offset: bigint): void {
    if (offset <= this.#start) return;
    const owed = this.#acked > this.#start ? this.#acked : this.#start;
    if (offset > owed) this.#dropped += offset - owed;
    this.#start = offset;
    if (this.#acked < offset) this.#acked = offset;
  }
}
