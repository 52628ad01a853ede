// Ordered start and stop. What was started last is stopped first; each part has its own deadline, so that one that hangs
// does not keep the others from closing. Signals end the agent in order, an unforeseen error ends it at once.
import type { EventEmitter } from 'node:events';
import { AgentError } from './errors.ts';
import type { LogFields, Logger } from './log.ts';

/** EX_SOFTWARE (sysexits.h): PID 1 starts the agent again. */
export const EXIT_CRASHED = 70;
const DEFAULT_DEADLINE_MS = 2_000;

export interface Lifecycle {
  /** Aborted when stopping begins; for loops and waits that no closer ends. */
  readonly stopping: AbortSignal;
  /** Runs `open`, then remembers how to close what it gave. If it fails, what runs already is stopped and the error thrown. */
  start<T>(name: string, open: () => T | Promise<T>, close?: (opened: T) => unknown, deadlineMs?: number): Promise<T>;
  /** Remembers a closer; stopping runs them last in, first out. @throws failed_precondition once stopping has begun */
  onStop(name: string, close: () => unknown, deadlineMs?: number): void;
  /** Closes everything; later calls join the first. Resolves when each closer is done, has failed or has run out of time. */
  stop(reason: string): Promise<void>;
}

export function createLifecycle(log: Logger): Lifecycle {
  const closers: Closer[] = [];
  const abort = new AbortController();
  let stopped: Promise<void> | undefined;

  const lifecycle: Lifecycle = {
    stopping: abort.signal,
    async start(name, open, close, deadlineMs = DEFAULT_DEADLINE_MS) {
      refuseWhenStopping(name, stopped);
      try {
        const opened = await open();
        if (close) {
          const closer = { name, close: () => close(opened), deadlineMs };
          // Stopping began while this was opening: it is not in the list that is being closed.
          if (stopped) await runCloser(closer, log);
          else closers.push(closer);
        }
        refuseWhenStopping(name, stopped);
        return opened;
      } catch (error) {
        await lifecycle.stop(`could not start ${name}`);
        throw error;
      }
    },
    onStop(name, close, deadlineMs = DEFAULT_DEADLINE_MS) {
      refuseWhenStopping(name, stopped);
      closers.push({ name, close, deadlineMs });
    },
    stop(reason) {
      stopped ??= closeAll(reason);
      return stopped;
    },
  };

  async function closeAll(reason: string): Promise<void> {
    log.info('agent stopping', { reason });
    abort.abort(new AgentError('unavailable', `the agent is stopping: ${reason}`));
    for (let closer = closers.pop(); closer; closer = closers.pop()) await runCloser(closer, log);
    log.info('agent stopped', { reason });
  }
  return lifecycle;
}

interface Closer {
  readonly name: string;
  readonly close: () => unknown;
  readonly deadlineMs: number;
}

async function runCloser(closer: Closer, log: Logger): Promise<void> {
  const { name, deadlineMs } = closer;
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    const late = () => reject(new AgentError('deadline_exceeded', `${name} did not stop within ${deadlineMs} ms`));
    timer = setTimeout(late, deadlineMs);
  });
  try {
    // The callback runs within the promise so that a closer that throws is caught here as well.
    await Promise.race([Promise.resolve().then(closer.close), deadline]);
  } catch (error) {
    log.warn('part did not stop cleanly', { part: name, error });
  } finally {
    clearTimeout(timer);
  }
}

function refuseWhenStopping(name: string, stopped: Promise<void> | undefined): void {
  if (stopped) throw new AgentError('failed_precondition', `${name} can't start: the agent is stopping`);
}

/** How the process ends. `process.exit` outside of tests. */
export interface Ending {
  readonly exit: (code: number) => void;
  /** Writes one line that no threshold holds back. */
  readonly critical: (message: string, fields: LogFields) => void;
  /** Gives the log its last chance; must be bounded in time. */
  readonly flush: () => Promise<void>;
}

/**
 * SIGTERM and SIGINT stop in order and exit 0, the second one exits at once with 128 + its number. An exception or rejection that
 * nobody caught is logged with its chain and exits 70 without running a closer: state on disk is what the next start finds.
 */
export function handleProcessEvents(from: EventEmitter, lifecycle: Lifecycle, ending: Ending): void {
  let signalled = false;
  const end = async (code: number): Promise<void> => {
    await ending.flush().catch(() => {});
    ending.exit(code);
  };
  for (const [signal, number] of [['SIGTERM', 15] as const, ['SIGINT', 2] as const]) {
    from.on(signal, () => {
      if (signalled) return ending.exit(128 + number);
      signalled = true;
      void lifecycle.stop(signal).then(() => end(0));
    });
  }
  let crashed = false;
  const crash = (kind: string) => (error: unknown) => {
    // A crash while the log of the first one is written must not go round in circles.
    if (crashed) return;
    crashed = true;
    ending.critical('agent crashed', { kind, error });
    void end(EXIT_CRASHED);
  };
  from.on('uncaughtException', crash('uncaught exception'));
  from.on('unhandledRejection', crash('unhandled rejection'));
}
