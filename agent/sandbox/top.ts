// What the agent is doing, read when somebody asks. Nothing here runs otherwise.
import type { OutputLog } from '../process/stream/output-log.ts';
import type { ProcessEntry, ProcessRef } from './process-entry.ts';

export type StreamWait = 'process' | 'reader' | 'nobody';

export interface StreamUse {
  readonly ref: ProcessRef;
  readonly stream: 'stdout' | 'stderr';
  readonly heldBytes: bigint;
  readonly waitsFor: StreamWait;
  readonly readers: OutputLog['readerUses'];
}

/** In one answer: one process has two, and 64 readers each at most. */
const MAX_STREAMS = 4096;
/** How often the loop is looked at. */
const RESOLUTION_MS = 10;

/** Output streams that hold something or have a reader. */
export function streamUses(entries: Iterable<ProcessEntry>): StreamUse[] {
  const uses: StreamUse[] = [];
  for (const { ref, process } of entries) {
    const { stdout, stderr } = process.stdio;
    for (const [stream, log] of [['stdout', stdout] as const, ['stderr', stderr] as const]) {
      // A terminal has one for both.
      if (stream === 'stderr' && stderr === stdout) continue;
      const heldBytes = log.end - log.start;
      if (heldBytes === 0n && log.readers === 0) continue;
      if (uses.length >= MAX_STREAMS) return uses;
      uses.push({ ref, stream, heldBytes, waitsFor: waitOf(log), readers: log.readerUses });
    }
  }
  return uses;
}

function waitOf(log: OutputLog): StreamWait {
  if (log.ending === 'closed') return 'nobody';
  return log.heldBack ? 'reader' : 'process';
}

/** How late the event loop comes, from now on until it is closed. (monitorEventLoopDelay loses what begins when it is reset.) */
export class LoopDelay {
  readonly #timer: NodeJS.Timeout;
  #lookedAt = performance.now();
  #maxMs = 0;

  constructor() {
    this.#timer = setInterval(() => this.#look(), RESOLUTION_MS);
  }

  /** The most since it was last asked, ms. */
  takeMax(): number {
    this.#look();
    const maxMs = this.#maxMs;
    this.#maxMs = 0;
    return maxMs;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const now = performance.now();
    this.#maxMs = Math.max(this.#maxMs, now - this.#lookedAt - RESOLUTION_MS);
    this.#lookedAt = now;
  }
}
