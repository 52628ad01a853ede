// Where a log's bytes are and where they come from. The real one is the kernel's (kernel-log.ts); tests have one in memory.
import type { EndReason } from './log-reader.ts';

/** Something that calls back while there is reason to; made calling. */
export interface Notice {
  pause(): void;
  resume(): void;
  close(): void;
}

/** What an agent that comes after this one must know of an output log, beyond where it ends. */
export interface LogRecord {
  readonly start: bigint;
  readonly acked: bigint;
  readonly dropped: bigint;
  readonly ending: EndReason | undefined;
}

/** As an earlier agent left a log. */
export interface FoundLog extends LogRecord {
  readonly end: bigint;
}

export interface LogStore {
  /** The log goes on from here; undefined for a new one. */
  readonly found?: FoundLog | undefined;
  /** Writes it down for an agent that comes after: done when it returns. */
  record?(record: LogRecord): void;
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

/** What an agent that comes after this one must know of a process's input, beyond its bytes. */
export interface StdinRecord {
  readonly state: 'open' | 'closed' | 'refused';
  /** Where it was closed, once that was asked for. */
  readonly closedAt: bigint | undefined;
}

/** As an earlier agent left it. */
export interface FoundStdin extends StdinRecord {
  /** Bytes in the log, the end mark included. */
  readonly written: bigint;
  /** Of them, those that the process has been given. */
  readonly moved: bigint;
}

export interface StdinStore {
  readonly found?: FoundStdin | undefined;
  /** As {@link LogStore.record}. */
  record?(record: StdinRecord): void;
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
