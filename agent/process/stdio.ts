// The standard streams of one container process: three pipes, or one terminal that crun hands over.
import type { Socket } from 'node:net';
import { native } from '../../native/index.ts';
import { receiveConsole } from './console-socket.ts';
import { type OnChunk, OutputStream } from './output-stream.ts';
import { StdinSink } from './stdin-sink.ts';

/** Makes sockets of pipes' and terminals' fds, which they then own; given by the composition root. */
export interface FdSockets {
  /** Nothing is read from it. */
  writer(fd: number): Socket;
  /** Reads at once, and may be written to where the fd can. */
  reader(fd: number, onChunk: OnChunk): Socket;
}

export interface StdioOptions {
  terminal: boolean;
  sockets: FdSockets;
  /** Directory for console sockets. */
  runtimeDir: string;
  /** F_SETPIPE_SZ for stdout and stderr; 0 keeps the kernel's size. */
  pipeSizeBytes: number;
}

/** The agent's ends. A terminal has one stream for both outputs, so `stderr` is the same as `stdout`. */
export interface Stdio {
  readonly stdin: StdinSink;
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  /** The terminal's master, for its window size; undefined with pipes. */
  readonly terminalFd: number | undefined;
  processExited(): void;
  close(): void;
}

/** Streams on their way to a process: the child's ends are open until `release`. */
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

function preparePipes({ sockets, pipeSizeBytes }: StdioOptions): PreparedStdio {
  const door = native();
  const open: number[] = [];
  const pipe = () => {
    const ends = door.pipe();
    open.push(...ends);
    return ends;
  };
  try {
    const [stdinRead, stdinWrite] = pipe();
    const [stdoutRead, stdoutWrite] = pipe();
    const [stderrRead, stderrWrite] = pipe();
    if (pipeSizeBytes > 0) for (const fd of [stdoutWrite, stderrWrite]) door.setPipeSize(fd, pipeSizeBytes);
    return {
      childFds: [stdinRead, stdoutWrite, stderrWrite],
      consoleSocket: undefined,
      attach: async () => {
        for (const fd of [stdinRead, stdoutWrite, stderrWrite]) door.close(fd);
        return pipeStdio(
          new StdinSink(sockets.writer(stdinWrite), { terminal: false }),
          new OutputStream((onChunk) => sockets.reader(stdoutRead, onChunk)),
          new OutputStream((onChunk) => sockets.reader(stderrRead, onChunk)),
        );
      },
      abandon: async () => {
        for (const fd of open) door.close(fd);
      },
    };
  } catch (error) {
    for (const fd of open) door.close(fd);
    throw error;
  }
}

function pipeStdio(stdin: StdinSink, stdout: OutputStream, stderr: OutputStream): Stdio {
  return {
    stdin,
    stdout,
    stderr,
    terminalFd: undefined,
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

async function prepareTerminal({ sockets, runtimeDir }: StdioOptions): Promise<PreparedStdio> {
  const console = await receiveConsole(runtimeDir);
  return {
    childFds: [-1, -1, -1],
    consoleSocket: console.path,
    attach: async () => terminalStdio(await console.master(), sockets),
    abandon: () => console.close(),
  };
}

function terminalStdio(masterFd: number, sockets: FdSockets): Stdio {
  let socket: Socket | undefined;
  const output = new OutputStream((onChunk) => {
    socket = sockets.reader(masterFd, onChunk);
    return socket;
  });
  return {
    stdin: new StdinSink(socket!, { terminal: true }),
    stdout: output,
    stderr: output,
    terminalFd: masterFd,
    processExited: () => output.processExited(),
    close: () => output.close(),
  };
}
