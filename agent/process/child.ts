// A short-lived child of the agent itself (crun), started through the addon: 50 µs instead of libuv's fork.
import { type ChildExit, native, type SpawnSpec } from '../../native/index.ts';
import { SIGKILL } from './signals.ts';

export interface TimedExit extends ChildExit {
  /** It was killed because its time was over. */
  readonly timedOut: boolean;
}

/** What kills it; the promise resolves all the same. */
export interface ChildLimits {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/**
 * Runs a program to its end and tells how it ended. The fds given stay the caller's.
 * @throws the system error of the exec
 */
export function runChild(spec: SpawnSpec, { timeoutMs, signal }: ChildLimits = {}): Promise<TimedExit> {
  const door = native();
  const { pidfd } = door.spawn(spec);
  return new Promise((resolve) => {
    let timedOut = false;
    const kill = () => door.pidfdSendSignal(pidfd, SIGKILL);
    // Not AbortSignal.timeout: that one lives on for the whole time, and a busy agent would have hundreds of them.
    const timer =
      timeoutMs === undefined
        ? undefined
        : setTimeout(() => {
            timedOut = true;
            kill();
          }, timeoutMs);
    const watch = door.watchChild(pidfd, (exit) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', kill);
      watch.close();
      door.close(pidfd);
      resolve({ ...exit, timedOut });
    });
    if (signal?.aborted) kill();
    else signal?.addEventListener('abort', kill, { once: true });
  });
}
