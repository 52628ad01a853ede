// Helper processes of a guest (QEMU, the vsock device, virtiofsd): started in sessions of their own so that Ctrl-C
// is the launcher's alone, and killed by the kernel when the launcher dies, however it dies.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { access, constants } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { fromErrno } from '../../agent/errors.ts';

/** util-linux's setpriv sets PR_SET_PDEATHSIG (man 2 prctl), which Node cannot ask for, and then execs. */
const SETPRIV = ['/usr/bin/setpriv', '/bin/setpriv'].find((path) => existsSync(path));
const KEPT_STDERR = 16 << 10;

export interface ChildEnd {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface Child {
  readonly name: string;
  readonly pid: number;
  readonly stdout: Readable | null;
  /** The last 16 KiB it wrote to stderr. */
  stderr(): string;
  readonly ended: Promise<ChildEnd>;
  readonly running: boolean;
  /** SIGTERM, and SIGKILL when that has not helped after `graceMs`. Resolves when it is gone. */
  stop(graceMs: number): Promise<ChildEnd>;
}

/**
 * @param argv absolute path of the program, then its arguments
 * @throws AgentError not_found or permission_denied when there is no such program
 */
export async function startChild(name: string, argv: readonly string[], stdout: 'pipe' | 'ignore' = 'ignore'): Promise<Child> {
  // setpriv would start whatever it is told, and only its exit code would say that there was nothing to start.
  await access(argv[0]!, constants.X_OK).catch((error: unknown) => {
    throw fromErrno(error, `cannot start ${name} (${argv[0]})`, { program: argv[0] });
  });
  const bound = SETPRIV === undefined ? argv : [SETPRIV, '--pdeathsig', 'KILL', '--', ...argv];
  const child = spawn(bound[0]!, bound.slice(1), { detached: true, stdio: ['ignore', stdout, 'pipe'], cwd: '/' });
  const ended = new Promise<ChildEnd>((resolve) => child.once('exit', (code, signal) => resolve({ code, signal })));
  await once(child, 'spawn');
  const stderr = keepTail(child);
  const running = () => child.exitCode === null && child.signalCode === null;
  return {
    name,
    pid: child.pid!,
    stdout: child.stdout,
    stderr,
    ended,
    get running() {
      return running();
    },
    async stop(graceMs) {
      if (running()) child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
      try {
        return await ended;
      } finally {
        clearTimeout(timer);
      }
    },
  };
}

function keepTail(child: ChildProcess): () => string {
  let kept = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    kept = (kept + text).slice(-KEPT_STDERR);
  });
  return () => kept;
}
