// A process of the fake agent: a child of the test itself with the agent's own streams, so that what the client reads and
// writes behaves as in a guest.
import { accessSync, constants as fsConstants, statSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { OutputStream } from '../../agent/process/output-stream.ts';
import { StdinSink } from '../../agent/process/stdin-sink.ts';
import { type FdSockets, prepareStdio, type Stdio } from '../../agent/process/stdio.ts';
import { readChunks, socketFromFd } from '../../agent/transport/pipe-handle.ts';
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
    const prepared = await prepareStdio({ terminal: false, sockets, runtimeDir: '/nonexistent', pipeSizeBytes: 0 });
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
    let socket: Socket | undefined;
    const stdout = new OutputStream((onChunk) => {
      socket = sockets.reader(master, onChunk);
      return socket;
    });
    const stdio: Stdio = {
      stdin: new StdinSink(socket!, { terminal: true }),
      stdout,
      stderr: stdout,
      terminalFd: master,
      processExited: () => stdout.processExited(),
      close: () => stdout.close(),
    };
    return new FakeProcess(stdio, pid, pidfd);
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

const sockets: FdSockets = {
  writer: socketFromFd,
  reader: (fd, onChunk) => readChunks(socketFromFd(fd), onChunk),
};
