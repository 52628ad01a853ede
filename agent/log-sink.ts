// Where log lines go: a file descriptor, written with one bounded queue and one write at a time. A reader that stands still
// costs neither the event loop nor memory: the oldest lines are dropped, counted, and the count is told when it reads again.
import { constants, fstatSync, openSync, write } from 'node:fs';
import { isErrno } from './errors.ts';

/** Bytes that wait to be written; beyond, the oldest lines go. */
export const MAX_PENDING_BYTES = 1_048_576;
/** Bytes given to one write. */
const MAX_WRITE_BYTES = 65_536;
const FIRST_RETRY_MS = 10;
const LAST_RETRY_MS = 1_000;

export interface LineSink {
  /** Queues one line (without newline); never blocks, never throws. */
  write(line: string): void;
  /** Waits until all is written, at most `timeoutMs`; whether it was. */
  drain(timeoutMs: number): Promise<boolean>;
  /** Lines dropped since the start. */
  readonly lost: number;
}

/** Writes some bytes like fs.write: the count, or an error with a code. */
export type WriteSome = (bytes: Buffer, done: (error: Error | null, written: number) => void) => void;

/**
 * A sink on an open descriptor; call it at start-up. Pipes and terminals are opened once more as non-blocking, because
 * a write that hangs in a thread of the pool also keeps the process from exiting (the pool is joined at exit).
 */
export function openSink(fd: number, lostLine: (count: number) => string): LineSink {
  const own = reopenNonBlocking(fd);
  return createSink((bytes, done) => write(own, bytes, 0, bytes.length, null, done), lostLine);
}

/** @param lostLine makes the line that tells of dropped ones */
export function createSink(writeSome: WriteSome, lostLine: (count: number) => string): LineSink {
  const queue: Buffer[] = [];
  let queuedBytes = 0;
  let inFlight: Batch | undefined;
  let retryMs = FIRST_RETRY_MS;
  let lost = 0;
  let told = 0;
  // A write or the wait before the next try is under way.
  let busy = false;
  const drained = new Set<() => void>();

  const takeBatch = (): Batch => {
    const parts: Buffer[] = lost > told ? [Buffer.from(`${lostLine(lost - told)}\n`)] : [];
    let bytes = 0;
    let lines = 0;
    while (queue.length > 0 && (bytes === 0 || bytes + queue[0]!.length <= MAX_WRITE_BYTES)) {
      const line = queue.shift()!;
      parts.push(line);
      bytes += line.length;
      lines++;
    }
    queuedBytes -= bytes;
    return { bytes: parts.length === 1 ? parts[0]! : Buffer.concat(parts), lines, tells: lost };
  };

  const pump = (): void => {
    busy = false;
    if (!inFlight) {
      if (queue.length === 0 && lost === told) {
        settleDrained();
        return;
      }
      inFlight = takeBatch();
    }
    busy = true;
    writeSome(inFlight.bytes, finish);
  };

  const finish = (error: Error | null, written: number): void => {
    const batch = inFlight!;
    if (error === null) {
      retryMs = FIRST_RETRY_MS;
      if (written < batch.bytes.length) {
        inFlight = { ...batch, bytes: batch.bytes.subarray(written) };
      } else {
        inFlight = undefined;
        told = batch.tells;
      }
      pump();
      return;
    }
    if (!isErrno(error, 'EAGAIN', 'EINTR')) {
      // Nobody reads any more, or nobody yet: what was being written is gone, the rest is tried again later.
      inFlight = undefined;
      lost += batch.lines;
      if (queue.length === 0) {
        busy = false;
        settleDrained();
        return;
      }
    }
    setTimeout(pump, retryMs).unref();
    retryMs = Math.min(retryMs * 2, LAST_RETRY_MS);
  };

  const settleDrained = (): void => {
    for (const settle of drained) settle();
  };

  return {
    write(line) {
      const bytes = Buffer.from(`${line}\n`);
      queue.push(bytes);
      queuedBytes += bytes.length;
      while (queuedBytes > MAX_PENDING_BYTES) {
        queuedBytes -= queue.shift()!.length;
        lost++;
      }
      if (!busy) pump();
    },
    drain(timeoutMs) {
      if (!busy) return Promise.resolve(true);
      return new Promise((resolve) => {
        const settle = (all: boolean) => {
          clearTimeout(timer);
          drained.delete(onDrained);
          resolve(all);
        };
        const onDrained = () => settle(true);
        const timer = setTimeout(settle, timeoutMs, false);
        drained.add(onDrained);
      });
    },
    get lost() {
      return lost;
    },
  };
}

/** What one write carries: so many lines, and perhaps the word that `tells` lines were lost up to here. */
interface Batch {
  readonly bytes: Buffer;
  readonly lines: number;
  readonly tells: number;
}

function reopenNonBlocking(fd: number): number {
  try {
    const kind = fstatSync(fd);
    // A regular file must keep its offset, and a socket can't be opened again.
    if (!kind.isFIFO() && !kind.isCharacterDevice()) return fd;
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    // No /proc, or not allowed: writes may then hold one thread of the pool while the reader stands still.
    return fd;
  }
}
