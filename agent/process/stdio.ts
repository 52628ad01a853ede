// The standard streams of one container process: three pipes, or one terminal that crun hands over.
import { native } from '../../native/index.ts';
import { receiveConsole } from './console-socket.ts';
import { type Budget, PROCESS_LIMIT_BYTES } from './stream/budget.ts';
import type { Retention } from './stream/byte-log.ts';
import { KernelLog } from './stream/kernel-log.ts';
import { KernelStdin } from './stream/kernel-stdin.ts';
import { OutputLog } from './stream/output-log.ts';
import { StdinLog } from './stream/stdin-log.ts';
import { pipeHolders, terminalHolders } from './stream/stream-holders.ts';

/** How long output may go on after its process has ended while something it left behind holds the pipe (kata-agent.md §3.8). */
export const KATA_DRAIN_MS = 500;

/** How a process's output is kept; what is left out is as Kata has it: nothing goes, nothing stays. */
export interface OutputOptions {
  readonly stdout?: Partial<Retention>;
  readonly stderr?: Partial<Retention>;
  /** After the exit, until the end is told though something holds the stream; undefined waits for that. */
  readonly drainMs?: number | undefined;
}

export interface StdioOptions {
  terminal: boolean;
  /** Of all logs together. */
  budget: Budget;
  output?: OutputOptions | undefined;
  /** Directory for console sockets. */
  runtimeDir: string;
  /** F_SETPIPE_SZ for stdout and stderr; 0 keeps the kernel's size. */
  pipeSizeBytes: number;
}

/** The agent's ends. A terminal has one stream for both outputs, so `stderr` is the same as `stdout`. */
export interface Stdio {
  readonly stdin: StdinLog;
  readonly stdout: OutputLog;
  readonly stderr: OutputLog;
  /** The terminal's master, for its window size; undefined with pipes. */
  readonly terminalFd: number | undefined;
  /** The last of the terminal's users has gone, and `terminalFd` with them. */
  readonly terminalClosed: boolean;
  /** No writer is left, and all that was written has been taken. */
  readonly consumed: boolean;
  /** Where output is copied to connections of the client's own: resolves when that is done, and not before `processExited`. */
  readonly copied?: Promise<void>;
  processExited(): void;
  close(): void;
}

/** Streams on their way to a process: the child's ends are open until `attach` or `abandon`. */
export interface PreparedStdio {
  /** fds 0, 1 and 2 for crun; -1 is /dev/null. */
  readonly childFds: readonly [number, number, number];
  /** Path for crun's --console-socket, with a terminal only. */
  readonly consoleSocket: string | undefined;
  /** Call when crun has succeeded: closes the child's ends, takes the terminal. */
  attach(): Promise<Stdio>;
  /** Call when crun has failed: closes everything. */
  abandon(): Promise<void>;
}

export async function prepareStdio(options: StdioOptions): Promise<PreparedStdio> {
  return options.terminal ? await prepareTerminal(options) : preparePipes(options);
}

function preparePipes(options: StdioOptions): PreparedStdio {
  const door = native();
  const open: number[] = [];
  const pipe = () => {
    const ends = door.pipe();
    open.push(...ends);
    return ends;
  };
  const closeAll = (fds: readonly number[]) => {
    for (const fd of fds) door.close(fd);
  };
  try {
    const [stdinRead, stdinWrite] = pipe();
    const [stdoutRead, stdoutWrite] = pipe();
    const [stderrRead, stderrWrite] = pipe();
    const { pipeSizeBytes } = options;
    if (pipeSizeBytes > 0) for (const fd of [stdoutWrite, stderrWrite]) door.setPipeSize(fd, pipeSizeBytes);
    return {
      childFds: [stdinRead, stdoutWrite, stderrWrite],
      consoleSocket: undefined,
      attach: async () => {
        closeAll([stdinRead, stdoutWrite, stderrWrite]);
        return pipeStdio(options, { stdin: stdinWrite, stdout: stdoutRead, stderr: stderrRead });
      },
      abandon: async () => closeAll(open),
    };
  } catch (error) {
    closeAll(open);
    throw error;
  }
}

function pipeStdio(options: StdioOptions, fds: { stdin: number; stdout: number; stderr: number }): Stdio {
  const stdin = new StdinLog(new KernelStdin(fds.stdin));
  const budget = options.budget.child(PROCESS_LIMIT_BYTES);
  const log = (fd: number, retention: Partial<Retention> | undefined) =>
    new OutputLog({
      store: new KernelLog(fd, { limit: retention?.limit }),
      budget,
      ...(retention && { retention }),
      drainMs: drainOf(options),
      holders: () => pipeHolders(fd),
    });
  const stdout = log(fds.stdout, options.output?.stdout);
  const stderr = log(fds.stderr, options.output?.stderr);
  return {
    stdin,
    stdout,
    stderr,
    terminalFd: undefined,
    terminalClosed: false,
    get consumed() {
      return stdout.consumed && stderr.consumed;
    },
    processExited: () => {
      stdout.processExited();
      stderr.processExited();
    },
    close: () => {
      stdin.destroy();
      stdout.close();
      stderr.close();
    },
  };
}

async function prepareTerminal(options: StdioOptions): Promise<PreparedStdio> {
  const console = await receiveConsole(options.runtimeDir);
  return {
    childFds: [-1, -1, -1],
    consoleSocket: console.path,
    attach: async () => terminalStdio(options, await console.master()),
    abandon: () => console.close(),
  };
}

/** Of a terminal by its master, which it owns. */
export function terminalStdio(options: Pick<StdioOptions, 'budget' | 'output'>, masterFd: number): Stdio {
  const stdin = new StdinLog(new KernelStdin(masterFd, { terminal: true }));
  const output = new OutputLog({
    // Both directions have one fd.
    store: new KernelLog(masterFd, {
      terminal: true,
      limit: options.output?.stdout?.limit,
      onSourceClosed: () => stdin.destroy(),
    }),
    budget: options.budget.child(PROCESS_LIMIT_BYTES),
    ...(options.output?.stdout && { retention: options.output.stdout }),
    drainMs: drainOf(options),
    holders: () => terminalHolders(masterFd),
  });
  return {
    stdin,
    stdout: output,
    stderr: output,
    terminalFd: masterFd,
    get terminalClosed() {
      return output.ending === 'closed';
    },
    get consumed() {
      return output.consumed;
    },
    processExited: () => output.processExited(),
    close: () => output.close(),
  };
}

function drainOf({ output }: Pick<StdioOptions, 'output'>): number | undefined {
  return output === undefined ? KATA_DRAIN_MS : output.drainMs;
}
