// A short-lived child of the agent itself (crun), started through the addon: 50 µs instead of libuv's fork.
import { type ChildExit, native, type SpawnSpec } from '../../native/index.ts';

/** man 7 signal */
const SIGKILL = 9;

/**
 * Runs a program to its end and tells how it ended. The fds given stay the caller's.
 * An aborted `signal` kills it; the promise still resolves with how it ended.
 * @throws the system error of the exec
 */
export function runChild(spec: SpawnSpec, signal?: AbortSignal): Promise<ChildExit> {
  const door = native();
  const { pidfd } = door.spawn(spec);
  return new Promise((resolve) => {
    const kill = () => door.pidfdSendSignal(pidfd, SIGKILL);
    const watch = door.watchChild(pidfd, (exit) => {
      signal?.removeEventListener('abort', kill);
      watch.close();
      door.close(pidfd);
      resolve(exit);
    });
    if (signal?.aborted) kill();
    else signal?.addEventListener('abort', kill, { once: true });
  });
}
