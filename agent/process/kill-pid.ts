// The end of a process that nobody has named to anybody yet.
import { native } from '../../native/index.ts';
import { openPidfd } from './container-process.ts';
import { SIGKILL } from './signals.ts';

/** SIGKILL, to the process that has the pid now; none is fine. */
export function killPid(pid: number): void {
  const pidfd = openPidfd(pid);
  if (pidfd === undefined) return;
  native().pidfdSendSignal(pidfd, SIGKILL);
  native().close(pidfd);
}
