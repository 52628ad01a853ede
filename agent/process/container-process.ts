// One process of a container (its init, or an exec) from the moment crun has made it: identity, streams, exit.
import { native } from '../../native/index.ts';
import { AgentError, isErrno } from '../errors.ts';
import { unlessAborted } from '../unless-aborted.ts';
import type { Exit } from './exit.ts';
import type { ProcessRecord } from './process-record.ts';
import type { Stdio } from './stdio.ts';

export { type Exit, exitStatus } from './exit.ts';

export interface ProcessIdentity {
  readonly containerId: string;
  /** The init's is its container's id. */
  readonly execId: string;
  readonly pid: number;
  /** Clock ticks after boot (man 5 proc_pid_stat, field 22): with the pid it names one process for ever. */
  readonly startTime: bigint | undefined;
}

export interface ProcessParts {
  readonly identity: ProcessIdentity;
  readonly args: readonly string[];
  readonly record: ProcessRecord;
  readonly stdio: Stdio;
  readonly exit: Promise<Exit>;
  readonly pidfd: number | undefined;
}

export class ContainerProcess {
  readonly identity: ProcessIdentity;
  readonly stdio: Stdio;
  readonly args: readonly string[];
  /** Unix time in ms. */
  readonly startedAt: number;
  /** Resolves when the process is gone, whatever its output does; never rejects. */
  readonly exited: Promise<Exit>;
  readonly record: ProcessRecord;
  /** An earlier agent has seen it end, and told of it. Not so one that has ended since, however early that is known. */
  readonly endedBefore: boolean;
  #exit: Exit | undefined;
  #pidfd: number | undefined;
  #waited = false;

  /**
   * `exit` must resolve with the record of exactly this process; it is rejected only when the record is lost. The pidfd is the process's
   * to close; undefined when it is gone.
   */
  constructor({ identity, args, record, stdio, exit, pidfd }: ProcessParts) {
    this.identity = identity;
    this.record = record;
    this.endedBefore = record.facts.exit !== undefined;
    this.args = args;
    this.startedAt = record.facts.startedAt ?? Date.now();
    this.stdio = stdio;
    this.#pidfd = pidfd;
    this.exited = exit.catch(lostExit).then((ended) => this.#onExit(ended));
  }

  /** How it ended, or undefined while it runs. */
  get exit(): Exit | undefined {
    return this.#exit;
  }

  /** Of the process while it lives; ours to close. */
  get pidfd(): number | undefined {
    return this.#pidfd;
  }

  /** Gone, told to someone who waited, and all its output read: nobody needs its record any more. */
  get finished(): boolean {
    return this.#waited && this.#exit !== undefined && this.stdio.consumed;
  }

  /** The exit, for each caller and however late. The signal only ends this wait. */
  async wait(signal: AbortSignal): Promise<Exit> {
    const exit = this.#exit ?? (await unlessAborted(this.exited, signal));
    this.#waited = true;
    return exit;
  }

  /** As {@link wait}, once its output has been copied to the client's own connections, where it has such. */
  async waitCopied(signal: AbortSignal): Promise<Exit> {
    const exit = await this.wait(signal);
    if (this.stdio.copied !== undefined) await unlessAborted(this.stdio.copied, signal);
    return exit;
  }

  /** To this process alone. One that has ended already is not an error (kata-agent.md §3.7). */
  signal(signal: number): void {
    if (this.#pidfd === undefined) return;
    try {
      native().pidfdSendSignal(this.#pidfd, signal);
    } catch (error) {
      if (isErrno(error, 'ESRCH')) return;
      if (isErrno(error, 'EINVAL')) throw new AgentError('invalid_argument', `signal ${signal} does not exist`, { cause: error });
      throw error;
    }
  }

  /** @throws unavailable without a terminal */
  resize(rows: number, columns: number): void {
    const { terminalFd, terminalClosed } = this.stdio;
    if (terminalFd === undefined) throw new AgentError('unavailable', 'no tty');
    if (terminalClosed) return;
    native().setWinsize(terminalFd, rows, columns);
  }

  /** Gives up its streams and fds; the exit stays known. */
  close(): void {
    this.stdio.close();
    this.#closePidfd();
    this.record.drop();
  }

  #onExit(exit: Exit): Exit {
    // Before PID 1 hears that it is known here.
    if (this.record.facts.exit === undefined) this.record.update({ exit });
    this.#exit = exit;
    this.#closePidfd();
    this.stdio.processExited();
    return exit;
  }

  #closePidfd(): void {
    if (this.#pidfd !== undefined) native().close(this.#pidfd);
    this.#pidfd = undefined;
  }
}

/** undefined when the process is gone already: its exit record is on the way. The caller's to close. */
export function openPidfd(pid: number): number | undefined {
  try {
    return native().pidfdOpen(pid);
  } catch (error) {
    // EINVAL: the number is not free yet, because what the process left behind is still in its process group or session.
    if (isErrno(error, 'ESRCH', 'EINVAL')) return undefined;
    throw error;
  }
}

/** The keeper lost the record, which its bounds allow only under a flood: the process is gone, how is not known. */
function lostExit(): Exit {
  return { code: 255, coreDumped: false, exitedAt: Date.now(), unknown: true };
}
