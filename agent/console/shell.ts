// A shell of the debug console: a process on a terminal of its own, in a cgroup of its own so that nothing it started outlives it.
import { access, constants, mkdir } from 'node:fs/promises';
import { Cgroup } from '../container/cgroup.ts';
import { AgentError, fromErrno } from '../errors.ts';
import { runChild } from '../process/child.ts';

/** The first one that exists is used (kata-agent.md §1.6). */
const SHELLS = ['/run/kata-extensions/devkit/bin/devkit-sh', '/bin/bash', '/bin/sh'];
const ENVIRONMENT = ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'HOME=/root', 'TERM=xterm'];
/**
 * Moves itself ("0", Linux, cgroup-v2.rst) before it becomes the shell, in a session whose terminal is its stdin (man 1 setsid). PID 1
 * has turned the signals of the console's keys off; in a session of its own they reach nobody else.
 */
const ENTER = `echo 0 > "$1/cgroup.procs" && shift && exec setsid -c sh -c 'stty isig; exec "$@"' sh "$@"`;

export interface Shell {
  /** Resolves when the shell has ended; what it started may live on. */
  readonly ended: Promise<unknown>;
  /** Ends the shell and everything it started, and waits until nothing is left. */
  end(): Promise<void>;
}

export interface ShellOptions {
  /** Becomes fds 0, 1 and 2; stays the caller's. */
  readonly terminalFd: number;
  /** Name of the cgroup below the root; no other shell has it. */
  readonly name: string;
  readonly args?: readonly string[];
  /** Where cgroup2 is mounted. */
  readonly cgroupRoot?: string;
}

/** @throws not_found when there is no shell; by errno when the cgroup can't be made or the program not be started */
export async function startShell(options: ShellOptions): Promise<Shell> {
  const shell = await findShell();
  const cgroup = new Cgroup(`/${options.name}`, { root: options.cgroupRoot });
  try {
    await mkdir(cgroup.directory, { mode: 0o755 });
  } catch (error) {
    throw fromErrno(error, `make the cgroup ${cgroup.directory}`);
  }
  const { terminalFd } = options;
  const killing = new AbortController();
  let ended: Promise<unknown>;
  try {
    const args = ['sh', '-c', ENTER, 'sh', cgroup.directory, shell, ...(options.args ?? [])];
    const fds = [terminalFd, terminalFd, terminalFd];
    ended = runChild({ file: '/bin/sh', args, env: ENVIRONMENT, fds, cwd: '/' }, { signal: killing.signal });
  } catch (error) {
    await cgroup.remove();
    throw fromErrno(error, `start ${shell}`);
  }
  return {
    ended,
    async end() {
      // The shell first: it may not have entered its cgroup yet.
      killing.abort();
      await ended;
      await cgroup.killAll();
      await cgroup.remove();
    },
  };
}

async function findShell(): Promise<string> {
  for (const shell of SHELLS) {
    if (
      await access(shell, constants.X_OK).then(
        () => true,
        () => false,
      )
    )
      return shell;
  }
  throw new AgentError('not_found', `there is no shell: looked for ${SHELLS.join(', ')}`);
}
