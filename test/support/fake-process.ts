// A process of the fake agent: a child of the test itself with the agent's own streams, so that what the client reads and
// writes behaves as in a guest.
import { accessSync, constants as fsConstants, statSync } from 'node:fs';
import { join } from 'node:path';
import { KATA_DRAIN_MS, prepareStdio, type Stdio, terminalStdio } from '../../agent/process/stdio.ts';
import { Budget, TOTAL_LIMIT_BYTES } from '../../agent/process/stream/budget.ts';
import type { LogReader } from '../../agent/process/stream/log-reader.ts';
import type { OutputLog } from '../../agent/process/stream/output-log.ts';
import { native } from '../../native/index.ts';

export interface FakeProcessSpec {
  args: readonly string[];
  env: readonly string[];
  terminal: boolean;
}

export class FakeProcess {
  readonly stdio: Stdio;
  readonly pid: number;
  /** 128 + signal, or the code. */
  readonly exited: Promise<number>;
  private readonly pidfd: number;

  private constructor(stdio: Stdio, pid: number, pidfd: number) {
    this.stdio = stdio;
    this.pid = pid;
    this.pidfd = pidfd;
    this.exited = new Promise((resolve) => {
      native().watchChild(pidfd, ({ code, signal }) => {
        stdio.processExited();
        resolve(code ?? 128 + signal!);
      });
    });
  }

  /** @throws Error in crun's words for a program that can't be run */
  static async start(spec: FakeProcessSpec): Promise<FakeProcess> {
    const file = findProgram(spec);
    return spec.terminal ? FakeProcess.startOnTerminal(file, spec) : await FakeProcess.startOnPipes(file, spec);
  }

  signal(signal: number): void {
    try {
      native().pidfdSendSignal(this.pidfd, signal);
    } catch {
      // Gone already, which Kata does not count as an error.
    }
  }

  /** Ends it with all that it has started, and lets go of its streams. */
  destroy(): void {
    try {
      // It leads a session of its own.
      process.kill(-this.pid, 'SIGKILL');
    } catch {
      // Gone already.
    }
    this.stdio.close();
  }

  resize(rows: number, columns: number): void {
    native().setWinsize(this.stdio.terminalFd!, rows, columns);
  }

  private static async startOnPipes(file: string, { args, env }: FakeProcessSpec): Promise<FakeProcess> {
    const prepared = await prepareStdio({ terminal: false, budget, runtimeDir: '/nonexistent', pipeSizeBytes: 0 });
    const { pid, pidfd } = native().spawn({ file, args, env, fds: prepared.childFds, newSession: true });
    return new FakeProcess(await prepared.attach(), pid, pidfd);
  }

  /** `setsid -c` makes the slave the controlling terminal, as crun does in a container. */
  private static startOnTerminal(file: string, { args, env }: FakeProcessSpec): FakeProcess {
    const { master, slave } = native().openPty();
    const { pid, pidfd } = native().spawn({
      file: '/usr/bin/setsid',
      args: ['setsid', '-c', file, ...args.slice(1)],
      env,
      fds: [slave, slave, slave],
    });
    native().close(slave);
    return new FakeProcess(terminalStdio({ budget, output: { drainMs: KATA_DRAIN_MS } }, master), pid, pidfd);
  }
}

function findProgram({ args, env }: FakeProcessSpec): string {
  const name = args[0]!;
  const path = env.find((entry) => entry.startsWith('PATH='))?.slice('PATH='.length) ?? '';
  const places = name.includes('/') ? [name] : path.split(':').map((folder) => join(folder, name));
  for (const place of places) {
    if (statSync(place, { throwIfNoEntry: false })?.isFile() !== true) continue;
    try {
      accessSync(place, fsConstants.X_OK);
      return place;
    } catch {
      throw new Error('crun create: open executable: Permission denied');
    }
  }
  throw new Error(`crun create: executable file \`${name}\` not found in $PATH: No such file or directory`);
}

const budget = new Budget(TOTAL_LIMIT_BYTES);
const readers = new WeakMap<OutputLog, LogReader>();

/** What one ReadStdout is answered with. */
export async function readPiece(log: OutputLog, maxBytes: number): Promise<Uint8Array> {
  let reader = readers.get(log);
  if (reader === undefined) {
    reader = log.reader({ primary: true });
    readers.set(log, reader);
  }
  const piece = await reader.next(maxBytes);
  if (piece.kind !== 'data') return new Uint8Array(0);
  reader.ack(piece.offset + BigInt(piece.data.length));
  return piece.data;
}
