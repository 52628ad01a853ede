// The standard streams of one container process: three pipes, or one terminal that crun hands over.
import { type Native, native } from '../../native/index.ts';
import { receiveConsole } from './console-socket.ts';
import { dropKept, forgetPart, type KeptStdio, keepPipes, keepTerminal, type OutputOptions } from './stdio-files.ts';
import type { StdioKeeping } from './stdio-store.ts';
import { type Budget, PROCESS_LIMIT_BYTES } from './stream/budget.ts';
import { KernelLog } from './stream/kernel-log.ts';
import { KernelStdin } from './stream/kernel-stdin.ts';
import { OutputLog } from './stream/output-log.ts';
import { StdinLog } from './stream/stdin-log.ts';
import { pipeHolders, terminalHolders } from './stream/stream-holders.ts';

export type { OutputOptions } from './stdio-files.ts';

/** How long output may go on after its process has ended while something it left behind holds the pipe (kata-agent.md §3.8). */
export const KATA_DRAIN_MS = 500;

export interface StdioOptions {
  terminal: boolean;
  /** Where the streams are kept beyond this agent's end; they end with it unless told. */
  keep?: StdioKeeping | undefined;
  /** false: the process has no end of the input, which is closed at once. */
  stdin?: boolean | undefined;
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
  /** What it is kept under. */
  readonly key?: Buffer | undefined;
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
  return options.terminal ? await prepareTerminal(options) : await preparePipes(options);
}

async function preparePipes(options: StdioOptions): Promise<PreparedStdio> {
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
    const { pipeSizeBytes, stdin = true } = options;
    if (pipeSizeBytes > 0) for (const fd of [stdoutWrite, stderrWrite]) door.setPipeSize(fd, pipeSizeBytes);
    const ends = { stdin: stdinWrite, stdout: stdoutRead, stderr: stderrRead };
    const kept = await keepPipes(options, { ...ends, stdin: stdin ? stdinWrite : undefined });
    return {
      childFds: [stdinRead, stdoutWrite, stderrWrite],
      consoleSocket: undefined,
      attach: async () => {
        closeAll([stdinRead, stdoutWrite, stderrWrite]);
        return pipeStdio(options, ends, kept);
      },
      abandon: async () => {
        closeAll(open);
        if (kept !== undefined) dropKept(kept);
      },
    };
  } catch (error) {
    closeAll(open);
    throw error;
  }
}

/** Of pipes by the agent's ends, which it owns, and the files that are kept for the next agent. No `stdin`: it is closed already. */
export function pipeStdio(
  options: Pick<StdioOptions, 'budget' | 'output'>,
  ends: { stdin: number | undefined; stdout: number; stderr: number },
  kept?: KeptStdio,
): Stdio {
  const stdin = new StdinLog(new KernelStdin(ends.stdin, inputOf(kept)));
  const budget = options.budget.child(PROCESS_LIMIT_BYTES);
  const log = (stream: 'stdout' | 'stderr') => {
    const fd = ends[stream];
    const retention = options.output?.[stream];
    return new OutputLog({
      store: new KernelLog(fd, { limit: retention?.limit, kept: outputOf(kept, stream) }),
      budget,
      ...(retention && { retention }),
      drainMs: drainOf(options),
      holders: () => pipeHolders(fd),
    });
  };
  const stdout = log('stdout');
  const stderr = log('stderr');
  return {
    key: kept?.keeping.key,
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
      letGo(kept);
    },
  };
}

async function prepareTerminal(options: StdioOptions): Promise<PreparedStdio> {
  const console = await receiveConsole(options.runtimeDir);
  return {
    childFds: [-1, -1, -1],
    consoleSocket: console.path,
    attach: async () => await takeTerminal(options, await console.master()),
    abandon: () => console.close(),
  };
}

/** A terminal that is made here, for a process that needs no crun. */
export async function prepareOwnTerminal(
  options: StdioOptions,
  size: { readonly rows: number; readonly columns: number } | undefined,
  door: Pick<Native, 'openPty' | 'close' | 'setWinsize'> = native(),
): Promise<PreparedStdio> {
  const { master, slave } = door.openPty();
  try {
    if (size !== undefined) door.setWinsize(master, size.rows, size.columns);
    const kept = await keepTerminal(options, master);
    return {
      childFds: [slave, slave, slave],
      consoleSocket: undefined,
      attach: async () => {
        door.close(slave);
        return terminalStdio(options, master, kept);
      },
      abandon: async () => {
        for (const fd of [slave, master]) door.close(fd);
        if (kept !== undefined) dropKept(kept);
      },
    };
  } catch (error) {
    for (const fd of [slave, master]) door.close(fd);
    throw error;
  }
}

/** Owns the master. It is kept before this resolves, so a process is to be told of after that. */
async function takeTerminal(options: StdioOptions, master: number): Promise<Stdio> {
  try {
    return terminalStdio(options, master, await keepTerminal(options, master));
  } catch (error) {
    native().close(master);
    throw error;
  }
}

/** Of a terminal by its master, which it owns. */
export function terminalStdio(options: Pick<StdioOptions, 'budget' | 'output'>, masterFd: number, kept?: KeptStdio): Stdio {
  const stdin = new StdinLog(new KernelStdin(masterFd, { terminal: true, kept: inputOf(kept).kept }));
  const output = new OutputLog({
    // Both directions have one fd.
    store: new KernelLog(masterFd, {
      terminal: true,
      limit: options.output?.stdout?.limit,
      onSourceClosed: () => stdin.destroy(),
      kept: outputOf(kept, 'stdout'),
    }),
    budget: options.budget.child(PROCESS_LIMIT_BYTES),
    ...(options.output?.stdout && { retention: options.output.stdout }),
    drainMs: drainOf(options),
    holders: () => terminalHolders(masterFd),
  });
  return {
    key: kept?.keeping.key,
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
    close: () => {
      output.close();
      letGo(kept);
    },
  };
}

/** What an input has of the files; the process sees its end when the store has let go of it too. */
function inputOf(kept: KeptStdio | undefined) {
  if (kept === undefined) return { kept: undefined };
  const { ledger, stdin: file, adopted, keeping } = kept;
  return { kept: { file, slot: ledger.slot('stdin'), adopted }, onClosed: () => forgetPart(keeping, 'stdin') };
}

function outputOf(kept: KeptStdio | undefined, stream: 'stdout' | 'stderr') {
  const file = kept?.[stream];
  if (kept === undefined || file === undefined) return undefined;
  return { file, slot: kept.ledger.slot(stream), relay: kept.relay, adopted: kept.adopted };
}

function letGo(kept: KeptStdio | undefined): void {
  kept?.ledger.close();
  if (kept !== undefined) forgetPart(kept.keeping, 'whole');
}

function drainOf({ output }: Pick<StdioOptions, 'output'>): number | undefined {
  return output === undefined ? KATA_DRAIN_MS : output.drainMs;
}
