// Runs the real `berth` in a test: on pipes, or on a terminal of its own.
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { readChunks, socketFromFd } from '../../agent/transport/pipe-handle.ts';
import { native } from '../../native/index.ts';

const BERTH = join(import.meta.dirname, '../../client/berth');

export interface Finished {
  stdout: string;
  stderr: string;
  /** The status as a shell sees it. */
  status: number;
}

export interface RunOptions {
  /** What stdin gives before its end; without it stdin stays open and silent. */
  input?: string | Uint8Array;
  env?: Readonly<Record<string, string>>;
}

/** `berth` on three pipes. */
export class PipedBerth {
  readonly child: ChildProcess;
  stdout = '';
  stderr = '';
  private readonly closed: Promise<unknown>;

  constructor(args: readonly string[], { input, env }: RunOptions = {}) {
    this.child = spawn(BERTH, args, { env: { ...process.env, ...env }, stdio: 'pipe' });
    this.closed = once(this.child, 'close');
    this.child.stdout!.setEncoding('latin1').on('data', (text: string) => {
      this.stdout += text;
    });
    this.child.stderr!.on('data', (text: Buffer) => {
      this.stderr += text.toString();
    });
    this.child.stdin!.on('error', () => {});
    if (input !== undefined) this.child.stdin!.end(input);
  }

  async finished(): Promise<Finished> {
    await this.closed;
    const { exitCode, signalCode } = this.child;
    const status = exitCode ?? 128 + constants.signals[signalCode!];
    return { stdout: this.stdout, stderr: this.stderr, status };
  }

  /** Resolves when stdout holds `text`. */
  async printed(text: string): Promise<void> {
    await until(
      () => this.stdout.includes(text) || this.child.exitCode !== null,
      () => `${text} in stdout; it is ${JSON.stringify(this.stdout)}, stderr ${this.stderr}`,
    );
  }
}

export async function berth(args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  return await new PipedBerth(args, options).finished();
}

/** `berth` as the session leader of a new terminal, which is what Ctrl-C and window sizes need. */
export class TerminalBerth implements Disposable {
  readonly pid: number;
  readonly path: string;
  /** Everything on the screen so far. */
  screen = '';
  readonly exited: Promise<number>;
  private ended = false;
  private readonly master: number;
  private readonly slave: number;
  private readonly socket: ReturnType<typeof socketFromFd>;

  constructor(args: readonly string[], size: { rows: number; columns: number }, env: Readonly<Record<string, string>> = {}) {
    const { master, slave, path } = native().openPty();
    this.master = master;
    this.slave = slave;
    this.path = path;
    this.resize(size.rows, size.columns);
    const environment = Object.entries({ ...process.env, ...env }).map(([name, value]) => `${name}=${value}`);
    const { pid, pidfd } = native().spawn({
      file: '/usr/bin/setsid',
      args: ['setsid', '-c', BERTH, ...args],
      env: environment,
      fds: [slave, slave, slave],
    });
    this.pid = pid;
    this.exited = new Promise((resolve) => {
      native().watchChild(pidfd, ({ code, signal }) => {
        this.ended = true;
        native().close(pidfd);
        resolve(code ?? 128 + signal!);
      });
    });
    this.socket = readChunks(socketFromFd(master), (chunk) => {
      this.screen += chunk.toString();
      return true;
    });
    this.socket.on('error', () => {});
  }

  type(keys: string): void {
    this.socket.write(keys);
  }

  /** The kernel tells the session in the foreground with SIGWINCH. */
  resize(rows: number, columns: number): void {
    native().setWinsize(this.master, rows, columns);
  }

  /** Resolves when the screen, from `from` on, matches. */
  async shows(pattern: RegExp, { from = 0, timeoutMs = 20_000 } = {}): Promise<RegExpExecArray> {
    const find = () => pattern.exec(this.screen.slice(from));
    await until(
      () => find() !== null || this.ended,
      () => `${pattern} on the screen; it shows ${JSON.stringify(this.screen.slice(from))}`,
      timeoutMs,
    );
    const found = find();
    assert.ok(found !== null, `berth ended without ${pattern}; the screen shows ${JSON.stringify(this.screen.slice(from))}`);
    return found;
  }

  /** The terminal's modes, as `stty -g` writes them. */
  async modes(): Promise<string> {
    const { stdout } = await promisify(execFile)('stty', ['-F', this.path, '-g']);
    return stdout.trim();
  }

  [Symbol.dispose](): void {
    try {
      process.kill(this.pid, 'SIGKILL');
    } catch {
      // It has ended.
    }
    this.socket.destroy();
    native().close(this.slave);
  }
}

export async function until(holds: () => boolean, missing: () => string, timeoutMs = 20_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`waited ${timeoutMs} ms for ${missing()}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
