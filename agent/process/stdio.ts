// The standard streams of one container process: three pipes, or one terminal that crun hands over.
import type { Socket } from 'node:net';
import { native } from '../../native/index.ts';
import { receiveConsole } from './console-socket.ts';
import { OutputStream, type ReadInto } from './output-stream.ts';
import { StdinSink } from './stdin-sink.ts';

/** Makes an ordinary socket of a pipe's or a terminal's fd, which it then owns; given by the composition root. */
export type OpenFd = (fd: number, options: { onread?: ReadInto }) => Socket;

export interface StdioOptions {
  terminal: boolean;
  openFd: OpenFd;
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

function preparePipes({ openFd, pipeSizeBytes }: StdioOptions): PreparedStdio {
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
          new StdinSink(openFd(stdinWrite, {}), { terminal: false }),
          new OutputStream((onread) => openFd(stdoutRead, { onread })),
          new OutputStream((onread) => openFd(stderrRead, { onread })),
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

async function prepareTerminal({ openFd, runtimeDir }: StdioOptions): Promise<PreparedStdio> {
  const console = await receiveConsole(runtimeDir);
  return {
    childFds: [-1, -1, -1],
    consoleSocket: console.path,
    attach: async () => terminalStdio(await console.master(), openFd),
    abandon: () => console.close(),
  };
}

function terminalStdio(masterFd: number, openFd: OpenFd): Stdio {
  let socket: Socket | undefined;
  const output = new OutputStream((onread) => {
    socket = openFd(masterFd, { onread });
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
