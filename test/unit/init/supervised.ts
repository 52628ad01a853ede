// Runs the real berth-init as a subreaper over agent-stub.ts, and gives the test the stub's keeper socket.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { isErrno } from '../../../agent/errors.ts';
import { connectKeeper, type Keeper } from '../../../agent/keeper/keeper.ts';
import { silentLogger } from '../../../agent/log.ts';
import { native, type Watch } from '../../../native/index.ts';
import { buildInit } from '../../../scripts/build-init.ts';
import { childrenOf } from './processes.ts';

export interface StubCommand {
  id?: number;
  sh?: string;
  exit?: number;
}

export interface StubReply {
  id?: number;
  stdout: string;
  failed?: string;
}

export interface StubHello {
  pid: number;
  generation: string;
  keeperFd: string;
  uptimeMs: string;
}

export interface Build {
  name: string;
  sanitize: boolean;
}

/** Every behaviour is tested in the binary that is shipped and in the sanitized one. */
export const BUILDS: readonly Build[] = [
  { name: 'berth-init', sanitize: false },
  { name: 'berth-init under ASan and UBSan', sanitize: true },
];

export async function binaryOf(build: Build): Promise<string> {
  return buildInit({ sanitize: build.sanitize });
}

/** One agent generation, as the test sees it. */
export class Stub {
  readonly hello: StubHello;
  /** The agent's end of the wire; whoever takes it over closes it. */
  readonly keeperFd: number;
  readonly #socket: Socket;
  readonly #waiting = new Map<number, (reply: StubReply) => void>();
  readonly #directory: string;
  #lastId = 0;
  #gates = 0;
  #keeper: Keeper | undefined;

  constructor(directory: string, hello: StubHello, keeperFd: number, fd: number) {
    this.#directory = directory;
    this.hello = hello;
    this.keeperFd = keeperFd;
    this.#socket = new Socket({ fd, readable: true, writable: true });
    this.#socket.on('error', () => {});
    createInterface({ input: this.#socket }).on('line', (line) => {
      const reply = JSON.parse(line) as StubReply;
      this.#waiting.get(reply.id!)?.(reply);
    });
  }

  get keeper(): Keeper {
    this.#keeper ??= connectKeeper(this.keeperFd, silentLogger);
    return this.#keeper;
  }

  /** Runs a shell command as a child of the agent; its standard output. What it leaves behind becomes init's. */
  async sh(command: string): Promise<string> {
    const id = ++this.#lastId;
    const reply = await new Promise<StubReply>((resolve) => {
      this.#waiting.set(id, resolve);
      this.#socket.write(`${JSON.stringify({ id, sh: command } satisfies StubCommand)}\n`);
    });
    if (reply.failed !== undefined) throw new Error(reply.failed);
    return reply.stdout;
  }

  /**
   * Starts a shell command as a child of init; its pid. The command runs once its parent is gone, since a shell may well
   * reap a background child that ends before it.
   */
  async orphan(command: string): Promise<number> {
    const gate = join(this.#directory, `gate-${this.hello.generation}-${++this.#gates}`);
    const pid = Number(await this.sh(`mkfifo ${gate}; { read -r x < ${gate}; ${command}; } >/dev/null 2>&1 & echo $!`));
    await writeFile(gate, 'go\n');
    return pid;
  }

  exit(code: number): void {
    this.#socket.write(`${JSON.stringify({ exit: code } satisfies StubCommand)}\n`);
  }

  kill(): void {
    process.kill(this.hello.pid, 'SIGKILL');
  }

  close(): void {
    this.#keeper?.close();
    this.#socket.destroy();
  }
}

export class Supervised {
  readonly process: ChildProcess;
  readonly directory: string;
  readonly #listenFd: number;
  readonly #watch: Watch;
  readonly #stubs: Stub[] = [];
  readonly #arrived: Stub[] = [];
  #wake = () => {};
  #stderr = '';
  #stopped = false;

  private constructor(process: ChildProcess, directory: string, listenFd: number) {
    this.process = process;
    this.directory = directory;
    this.#listenFd = listenFd;
    this.#watch = native().watchReadable(listenFd, () => this.#accept());
    process.stderr!.on('data', (chunk: Buffer) => {
      this.#stderr += chunk;
    });
  }

  static async start(binary: string, options: readonly string[] = []): Promise<Supervised> {
    const directory = await mkdtemp(join(tmpdir(), 'berth-init-test-'));
    const path = join(directory, 'stub.sock');
    const listenFd = native().unixListen(path, 16);
    const stub = join(import.meta.dirname, 'agent-stub.ts');
    const args = [...options, '--', process.execPath, '--disable-warning=ExperimentalWarning', stub, path];
    return new Supervised(spawn(binary, args, { stdio: ['ignore', 'inherit', 'pipe'] }), directory, listenFd);
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** The next agent that init has started. */
  async agent(): Promise<Stub> {
    while (this.#arrived.length === 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#arrived.shift()!;
  }

  async exit(): Promise<{ code: number | null; signal: string | null }> {
    const { exitCode, signalCode } = this.process;
    if (exitCode === null && signalCode === null) await once(this.process, 'exit');
    return { code: this.process.exitCode, signal: this.process.signalCode };
  }

  /** Ends everything; throws when init had been ended by something other than the test. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    const alive = this.process.exitCode === null && this.process.signalCode === null;
    if (alive) {
      for (const { pid } of await childrenOf(this.process.pid!)) killIfThere(pid);
      this.process.kill('SIGTERM');
    }
    const { signal } = await this.exit();
    this.#watch.close();
    native().close(this.#listenFd);
    for (const stub of this.#stubs) stub.close();
    await rm(this.directory, { recursive: true });
    if (signal !== null || this.#stderr.includes('Sanitizer') || this.#stderr.includes('runtime error')) {
      throw new Error(`berth-init was ended by ${signal}:\n${this.#stderr}`);
    }
  }

  #accept(): void {
    const fd = native().unixAccept(this.#listenFd);
    const watch = native().watchReadable(fd, () => {
      watch.close();
      const { data, fds } = native().recvFds(fd, 4096);
      if (data.length === 0) return native().close(fd); // killed before it said who it is
      const stub = new Stub(this.directory, JSON.parse(data.toString()) as StubHello, fds[0]!, fd);
      this.#stubs.push(stub);
      this.#arrived.push(stub);
      this.#wake();
    });
  }
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (!isErrno(error, 'ESRCH')) throw error;
  }
}
