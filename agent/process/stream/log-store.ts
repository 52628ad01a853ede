// Where a log's bytes are and where they come from. The real one is the kernel's (kernel-log.ts); tests have one in memory.

/** Something that calls back while there is reason to; made calling. */
export interface Notice {
  pause(): void;
  resume(): void;
  close(): void;
}

export interface LogStore {
  /**
   * Moves up to `maxBytes` from the source to the end of the log: their number, at least 1; 'empty' when the source has none for now;
   * 'end' when it never will have again. @throws a system error; the source has kept its bytes then
   */
  append(maxBytes: number): number | 'empty' | 'end';
  /** Fills the buffer with what lies at `offset`. */
  readAt(offset: bigint, buffer: Buffer): void;
  /** Bytes below `offset` are needed no more. */
  forgetBelow(offset: bigint): void;
  watch(onReadable: () => void): Notice;
  /** Lets go of the source: its writers get EPIPE from now on. Idempotent. */
  closeSource(): void;
  /** Lets go of everything. Idempotent. */
  close(): void;
}

export interface StdinStore {
  /** Puts all of `data` at `offset` in the log. */
  writeAt(offset: bigint, data: Uint8Array): void;
  /** Moves up to `maxBytes` on to the process: their number; 'full' when it has to read first; 'gone' when nobody ever will. */
  deliver(maxBytes: number): number | 'full' | 'gone';
  forgetBelow(offset: bigint): void;
  /** What tells the process that its input ends, on top of closing; undefined for a pipe. It is written at the end of the log. */
  readonly endMark: Uint8Array | undefined;
  watch(onWritable: () => void): Notice;
  close(): void;
}

/** Timers, so that tests can have their own. */
export interface Clock {
  setTimeout(callback: () => void, ms: number): { cancel(): void };
}

export const realClock: Clock = {
  setTimeout: (callback, ms) => {
    const timer = setTimeout(callback, ms);
    return { cancel: () => clearTimeout(timer) };
  },
};
