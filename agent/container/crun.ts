// The command line of crun, the OCI runtime: one method a verb, errors with crun's own text.
import { access, mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AgentError } from '../errors.ts';
import { runChild } from '../process/child.ts';
import { readScratchFile, removeScratchFile } from './scratch-file.ts';

/** crun's log holds a line or two; more than this is cut. */
const MAX_LOG_BYTES = 16 * 1024;
/** crun finishes in milliseconds; a call that takes longer than this hangs on something in the kernel. */
const CALL_TIMEOUT_MS = 60_000;
/** Closed, so that crun's own complaints never mix with a container's output: they go to its log file. */
const NO_STDIO = [-1, -1, -1] as const;

export interface CrunOptions {
  /** Absolute path of the program. */
  file: string;
  /** crun's state (`--root`) and our scratch files lie below it. */
  runtimeDir: string;
  /** Boot from an initramfs: pivot_root cannot work there. */
  noPivot: boolean;
}

export interface CrunStart {
  /** fds 0, 1, 2 of the container's process. */
  fds: readonly [number, number, number];
  consoleSocket: string | undefined;
  /** Where crun writes the pid; the caller's to remove. */
  pidFile: string;
}

export interface CrunStatus {
  /** Of the init process; it may have ended. */
  readonly pid: number;
  /** Ticks since boot. */
  readonly startTime: bigint;
  /** Unix time in ms. */
  readonly createdAt: number;
}

export class Crun {
  readonly #file: string;
  readonly #root: string;
  readonly #scratch: string;
  readonly #noPivot: boolean;
  #calls = 0;

  constructor(options: CrunOptions) {
    this.#file = options.file;
    this.#root = join(options.runtimeDir, 'crun');
    this.#scratch = join(options.runtimeDir, 'calls');
    this.#noPivot = options.noPivot;
  }

  /** Makes the directories that the other methods use. */
  async prepare(): Promise<void> {
    await mkdir(this.#root, { recursive: true, mode: 0o700 });
    await mkdir(this.#scratch, { recursive: true, mode: 0o700 });
  }

  /** Makes the container, its init process waiting for `start`. Returns that process's pid. */
  create(id: string, bundle: string, stdio: CrunStart): Promise<number> {
    const args = ['create', '--bundle', bundle, ...consoleArgs(stdio)];
    if (this.#noPivot) args.push('--no-pivot');
    return this.#withPidFile(args, [id], stdio);
  }

  async start(id: string): Promise<void> {
    await this.#run(['start', id]);
  }

  /**
   * Starts one more process; `processJson` is a path. Returns its pid once its program runs.
   * @param cgroup below the container's, `/exec-1`; it has to be there; undefined for the container's own
   * @param oomScoreAdj crun's exec leaves out the spec's (1.28), so the process inherits it from crun itself
   */
  exec(id: string, processJson: string, cgroup: string | undefined, stdio: CrunStart, oomScoreAdj = 0): Promise<number> {
    const args = ['exec', '--detach', '--process', processJson, ...consoleArgs(stdio)];
    if (cgroup !== undefined) args.push('--cgroup', cgroup);
    return this.#withPidFile(args, [id], stdio, oomScoreAdj);
  }

  /** Applies a resources file of the runtime spec (`linux.resources`). */
  async update(id: string, resourcesJson: string): Promise<void> {
    await this.#run(['update', '--resources', resourcesJson, id]);
  }

  /** Removes the container, killing what is left of it. A container that crun does not know is fine. */
  async delete(id: string): Promise<void> {
    await this.#run(['delete', '--force', id]);
  }

  /** Ids of the containers that crun knows. */
  async list(): Promise<string[]> {
    const entries = await readdir(this.#root, { withFileTypes: true });
    // It keeps an empty directory of its own there, with a name that no container can have.
    return entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith('.')).map(({ name }) => name);
  }

  /** What crun has written down of a container. @throws internal when that is not there, or not as crun 1.28 writes it */
  async status(id: string): Promise<CrunStatus> {
    const path = join(this.#root, id, 'status');
    const known = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
    const { pid, 'process-start-time': startTime, created } = known;
    const at = Date.parse(String(created));
    if (!Number.isInteger(pid) || Number(pid) <= 1 || !Number.isInteger(startTime))
      throw new AgentError('internal', `${path} names no process`);
    return { pid: Number(pid), startTime: BigInt(Number(startTime)), createdAt: Number.isNaN(at) ? Date.now() : at };
  }

  /** Whether the container still waits for its start: crun takes the fifo away that its init process waits on. */
  async waitsForStart(id: string): Promise<boolean> {
    return await access(join(this.#root, id, 'exec.fifo')).then(
      () => true,
      () => false,
    );
  }

  /** Removes what calls of an earlier agent have left; none of them runs any more. */
  async clearScratch(): Promise<void> {
    for (const name of await readdir(this.#scratch)) await removeScratchFile(join(this.#scratch, name));
  }

  /** A path that nothing has, for {@link CrunStart} and for the launcher. */
  newPidFile(): string {
    return this.#scratchFile('pid');
  }

  async #withPidFile(
    args: readonly string[],
    rest: readonly string[],
    { fds, pidFile }: CrunStart,
    oomScoreAdj?: number,
  ): Promise<number> {
    await this.#run([...args, '--pid-file', pidFile, ...rest], fds, oomScoreAdj);
    const pid = Number(await readFile(pidFile, 'utf8'));
    if (!Number.isInteger(pid) || pid <= 1) throw new AgentError('internal', `crun ${args[0]} wrote no pid`);
    return pid;
  }

  async #run(args: readonly string[], fds: readonly number[] = NO_STDIO, oomScoreAdj?: number): Promise<void> {
    const log = this.#scratchFile('log');
    try {
      const exit = await runChild(
        {
          file: this.#file,
          args: [this.#file, '--root', this.#root, '--cgroup-manager', 'cgroupfs', '--log', log, '--log-format', 'json', ...args],
          env: ['PATH=/usr/sbin:/usr/bin:/sbin:/bin'],
          fds,
          ...(oomScoreAdj === undefined ? {} : { oomScoreAdj }),
        },
        { timeoutMs: CALL_TIMEOUT_MS },
      );
      if (exit.code === 0) return;
      if (exit.timedOut) throw new AgentError('deadline_exceeded', `crun ${args[0]} did not end within ${CALL_TIMEOUT_MS} ms`);
      throw crunError(args[0]!, await readScratchFile(log, MAX_LOG_BYTES), exit.signal);
    } finally {
      await removeScratchFile(log);
    }
  }

  #scratchFile(kind: string): string {
    return join(this.#scratch, `${process.pid}-${this.#calls++}.${kind}`);
  }
}

function consoleArgs({ consoleSocket }: CrunStart): string[] {
  return consoleSocket === undefined ? [] : ['--console-socket', consoleSocket];
}

/** Turns crun's JSON log into one error; its texts (`executable file ... not found`) are what users and containerd look for. */
export function crunError(verb: string, log: string, signal: number | undefined): AgentError {
  // crun 1.28 writes an entry over several lines, with its braces at the line start; older ones one line each.
  const messages = log
    .split(/\n(?=\{)|(?<=^\})\n/m)
    .map(errorMessage)
    .filter((message) => message !== undefined);
  const reason = messages.join(': ') || (signal === undefined ? 'it gave no reason' : `killed by signal ${signal}`);
  return new AgentError('internal', `crun ${verb}: ${reason}`, { fields: { verb } });
}

function errorMessage(entry: string): string | undefined {
  try {
    const { msg, level } = JSON.parse(entry) as { msg?: unknown; level?: unknown };
    return typeof msg === 'string' && level === 'error' ? msg : undefined;
  } catch {
    return entry.trim() === '' ? undefined : entry.trim();
  }
}
