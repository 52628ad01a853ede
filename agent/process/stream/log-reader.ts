// What a reader of a process's output gets, and how it asks for it: a cursor over the log (design.md §3, "Streams").

/** The next thing on a stream, in order of offset. Offsets count the stream's bytes from its very first. */
export type Piece =
  /** `data` is the caller's own, and so are `headroom` bytes before it in its buffer. */
  | { readonly kind: 'data'; readonly offset: bigint; readonly data: Buffer; readonly headroom?: number }
  /** Bytes [from, to) can't be given any more; reading goes on at `to`. */
  | { readonly kind: 'gap'; readonly from: bigint; readonly to: bigint }
  | { readonly kind: 'end'; readonly offset: bigint; readonly reason: EndReason };

/**
 * `closed`: the last writer has closed, nothing will ever follow. `drained`: the process has exited and the drain limit has run out while
 * something it left behind holds the stream; what that still writes can be read by going on after the end.
 */
export type EndReason = 'closed' | 'drained';

export interface ReaderOptions {
  /** 'start': the oldest byte that is held; 'end': only what is new; 'ack': where the primary reader left off. 'start' unless told. */
  readonly from?: bigint | 'start' | 'end' | 'ack';
  /** What this reader has not acknowledged is kept (lossless mode). One at a time: the newest that asks takes over. */
  readonly primary?: boolean;
  readonly owner?: ReaderOwner;
}

/** Whose a reader is, for who looks at what the agent does. */
export interface ReaderOwner {
  readonly clientId: string;
  /** It does not take what there is; otherwise it waits for its turn. */
  readonly stalled: boolean;
}

/** What a reader is doing. */
export interface ReaderUse {
  /** '' for one that is read by single calls. */
  readonly clientId: string;
  readonly primary: boolean;
  readonly offset: bigint;
  /** Bytes that it has not been given yet. */
  readonly behind: bigint;
  readonly waitsFor: 'process' | 'client' | 'turn' | 'nobody';
}

/** A cursor. Readers are independent: one that stalls, leaves or comes back changes nothing for the others. */
export interface LogReader {
  /** Of the byte to be given next. */
  readonly offset: bigint;
  /** Whether this is (still) the primary reader. */
  readonly primary: boolean;
  /**
   * The next piece, of at most `maxBytes`; waits while there is none.
   * @throws the signal's reason when it is aborted, and nothing was read then; resource_exhausted when too many wait;
   * failed_precondition when closed
   */
  next(maxBytes: number, signal?: AbortSignal): Promise<Piece>;
  /** Resolves when {@link tryNext} has something to give, unless another of this reader's callers takes it first. @throws as `next` */
  readable(signal?: AbortSignal): Promise<void>;
  /** As {@link next} without waiting; undefined when there is nothing yet. @param headroom bytes wanted before the data */
  tryNext(maxBytes: number, headroom?: number): Piece | undefined;
  /** Calls back each time there may be something new to read after there was nothing. One listener. */
  onReadable(listener: () => void): void;
  /** Goes on at `offset`, which was given and not acknowledged. @throws out_of_range */
  seek(offset: bigint): void;
  /** Everything below `offset` is safe with the reader. Never goes back. @throws out_of_range beyond what was given */
  ack(offset: bigint): void;
  /** Leaves. What a primary reader has not acknowledged stays for the next. Idempotent. */
  close(): void;
}
