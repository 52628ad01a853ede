// A process of the fake agent: a child of the test itself with the agent's own streams, so that what the client reads and
// writes behaves as in a guest.
import { accessSync, constants as fsConstants, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Exit } from '../../agent/process/container-process.ts';
import { KATA_DRAIN_MS, type OutputOptions, prepareStdio, type Stdio, terminalStdio } from '../../agent/process/stdio.ts';
import { Budget, TOTAL_LIMIT_BYTES } from '../../agent/process/stream/budget.ts';
import type { LogReader } from '../../agent/process/stream/log-reader.ts';
import type { OutputLog } from '../../agent/process/stream/output-log.ts';
import { native } from '../../native/index.ts';

export interface FakeProcessSpec {
  args: readonly string[];
  env: readonly string[];
  terminal: boolean;
}

export interface FakeProcessOptions {
  /** How its output is kept. Default: as Kata has it. */
  output?: OutputOptions;
  /** It is there, but its program runs only from {@link FakeProcess.release} on, as between crun's create and start. */
  gated?: boolean;
}

/** Waits for a line on fd 3, then becomes the program. */
const GATE = ['sh', '-c', 'read _ <&3; exec 3<&-; exec "$@"', 'sh'];

export class FakeProcess {
  readonly stdio: Stdio;
  readonly pid: number;
  /** 128 + signal, or the code. */
  readonly exited: Promise<number>;
  readonly ended: Promise<Exit>;
  private readonly pidfd: number;
  private gate: number | undefined;

  private constructor(stdio: Stdio, pid: number, pidfd: number, gate?: number) {
    this.stdio = stdio;
    this.pid = pid;
    this.pidfd = pidfd;
    this.gate = gate;
    this.ended = new Promise((resolve) => {
      native().watchChild(pidfd, ({ code, signal }) => {
        stdio.processExited();
        const how = code !== undefined && code !== null ? { code } : { signal: signal! };
        resolve({ ...how, coreDumped: false, exitedAt: Date.now() });
      });
    });
    this.exited = this.ended.then(({ code, signal }) => code ?? 128 + signal!);
  }

  /** @throws Error in crun's words for a program that can't be run */
  static async start(spec: FakeProcessSpec, options: FakeProcessOptions = {}): Promise<FakeProcess> {
    const file = findProgram(spec);
    const [gate, opener] = options.gated ? native().pipe() : [];
    const launched = gate === undefined ? spec : { ...spec, args: [...GATE, file, ...spec.args.slice(1)] };
    const program = { ...launched, file: gate === undefined ? file : '/bin/sh', gate: gate === undefined ? [] : [gate] };
    const start = spec.terminal ? FakeProcess.startOnTerminal : FakeProcess.startOnPipes;
    const { stdio, pid, pidfd } = await start(program, options.output);
    if (gate !== undefined) native().close(gate);
    return new FakeProcess(stdio, pid, pidfd, opener);
  }

  release(): void {
    if (this.gate === undefined) return;
    writeSync(this.gate, '\n');
    native().close(this.gate);
    this.gate = undefined;
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
    if (this.gate !== undefined) native().close(this.gate);
    this.gate = undefined;
  }

  resize(rows: number, columns: number): void {
    native().setWinsize(this.stdio.terminalFd!, rows, columns);
  }

  private static async startOnPipes({ file, args, env, gate }: Launched, output?: OutputOptions): Promise<Started> {
    const prepared = await prepareStdio({ terminal: false, budget, output, runtimeDir: '/nonexistent', pipeSizeBytes: 0 });
    const { pid, pidfd } = native().spawn({ file, args, env, fds: [...prepared.childFds, ...gate], newSession: true });
    return { stdio: await prepared.attach(), pid, pidfd };
  }

  /** `setsid -c` makes the slave the controlling terminal, as crun does in a container. */
  private static async startOnTerminal({ file, args, env, gate }: Launched, output?: OutputOptions): Promise<Started> {
    const { master, slave } = native().openPty();
    const { pid, pidfd } = native().spawn({
      file: '/usr/bin/setsid',
      args: ['setsid', '-c', file, ...args.slice(1)],
      env,
      fds: [slave, slave, slave, ...gate],
    });
    native().close(slave);
    return { stdio: terminalStdio({ budget, output: output ?? { drainMs: KATA_DRAIN_MS } }, master), pid, pidfd };
  }
}

type Started = Pick<FakeProcess, 'stdio' | 'pid'> & { pidfd: number };
type Launched = FakeProcessSpec & { file: string; gate: number[] };

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
