// Standard streams that go straight to connections which the client has opened for them (Kata's passfd, kata-agent.md §1.6): copied in the
// kernel, kept nowhere. The process has pipes all the same: programs reopen /dev/stdout, which a socket would refuse.
import { open } from 'node:fs/promises';
import { native } from '../../native/index.ts';
import { receiveConsole } from './console-socket.ts';
import { closePassed, type PassedFds } from './passed-connections.ts';
import { KATA_DRAIN_MS, type PreparedStdio, type Stdio, type StdioOptions } from './stdio.ts';
import type { LogStore, Notice, StdinStore } from './stream/log-store.ts';
import { OutputLog } from './stream/output-log.ts';
import { Relay } from './stream/relay.ts';
import { StdinLog } from './stream/stdin-log.ts';

/** Owns the fds from here on, whatever becomes of the process. */
export async function preparePassedStdio(options: StdioOptions, passed: PassedFds): Promise<PreparedStdio> {
  try {
    return options.terminal ? await prepareTerminal(options, passed) : preparePipes(options, passed);
  } catch (error) {
    closePassed(passed);
    throw error;
  }
}

function preparePipes(options: StdioOptions, passed: PassedFds): PreparedStdio {
  const door = native();
  const pipes: [number, number][] = [];
  /** The process's end, and ours. */
  const pipe = (fd: number | undefined, processReads: boolean): { child: number; own: number } => {
    if (fd === undefined) return { child: -1, own: -1 };
    const ends = door.pipe();
    pipes.push(ends);
    return processReads ? { child: ends[0], own: ends[1] } : { child: ends[1], own: ends[0] };
  };
  const abandon = async () => {
    for (const fd of pipes.flat()) door.close(fd);
    closePassed(passed);
  };
  const stdin = pipe(passed.stdin, true);
  const stdout = pipe(passed.stdout, false);
  const stderr = pipe(passed.stderr, false);
  return {
    childFds: [stdin.child, stdout.child, stderr.child],
    consoleSocket: undefined,
    attach: async () => {
      for (const { child } of [stdin, stdout, stderr]) if (child >= 0) door.close(child);
      const copies: Copy[] = [];
      if (passed.stdin !== undefined) copyInput(passed.stdin, stdin.own);
      if (passed.stdout !== undefined) copies.push(new Copy(stdout.own, passed.stdout));
      if (passed.stderr !== undefined) copies.push(new Copy(stderr.own, passed.stderr));
      return stdioOf(options, copies, undefined);
    },
    abandon,
  };
}

async function prepareTerminal(options: StdioOptions, passed: PassedFds): Promise<PreparedStdio> {
  const console = await receiveConsole(options.runtimeDir);
  return {
    childFds: [-1, -1, -1],
    consoleSocket: console.path,
    attach: async () => {
      const master = await console.master().catch((error: unknown) => {
        closePassed(passed);
        throw error;
      });
      if (passed.stderr !== undefined) native().close(passed.stderr);
      const input = passed.stdin === undefined ? undefined : typeInto(passed.stdin, master);
      const copy = new Copy(master, passed.stdout, { terminal: true, onOver: () => input?.close() });
      return stdioOf(options, [copy], master);
    },
    abandon: async () => {
      closePassed(passed);
      await console.close();
    },
  };
}

function stdioOf(options: StdioOptions, copies: readonly Copy[], master: number | undefined): Stdio {
  const nothing = () => new OutputLog({ store: NOTHING_OUT, budget: options.budget });
  const stdin = new StdinLog(NOTHING_IN);
  stdin.destroy();
  return {
    stdin,
    stdout: nothing(),
    stderr: nothing(),
    terminalFd: master,
    get terminalClosed() {
      return copies.every((copy) => copy.over);
    },
    get consumed() {
      return copies.every((copy) => copy.over);
    },
    copied: Promise.all(copies.map((copy) => copy.done)).then(() => {}),
    processExited: () => {
      for (const copy of copies) copy.processExited();
    },
    close: () => {
      for (const copy of copies) copy.close();
    },
  };
}

/** Output on its way to a connection. A client that has gone costs its process nothing: what it still writes is thrown away. */
class Copy {
  /** All has been handed on; or the process has exited, and what it left behind holds the stream but has been silent for the drain. */
  readonly done: Promise<void>;
  readonly #source: number;
  readonly #terminal: boolean;
  readonly #onOver: () => void;
  readonly #resolve: () => void;
  #relay: Relay | undefined;
  #over = false;

  /** Owns both fds. `onOver` is called just before they are closed. */
  constructor(source: number, connection: number | undefined, { terminal = false, onOver = () => {} } = {}) {
    this.#source = source;
    this.#terminal = terminal;
    this.#onOver = onOver;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.done = promise;
    this.#resolve = resolve;
    if (connection === undefined) void this.#discard();
    else this.#start(connection);
  }

  get over(): boolean {
    return this.#over;
  }

  processExited(): void {
    const { moved } = this;
    setTimeout(() => {
      if (this.#over) return;
      if (this.moved === moved && !this.#relay?.waitsForRoom) this.#resolve();
      else this.processExited();
    }, KATA_DRAIN_MS);
  }

  close(): void {
    if (this.#relay === undefined) this.#end();
    else this.#relay.close();
  }

  private get moved(): number {
    return this.#relay?.moved ?? 0;
  }

  #start(target: number): void {
    this.#relay = new Relay({ from: this.#source, to: target, between: this.#terminal });
    void this.#relay.done.then((end) => {
      native().close(target);
      if (end === 'broken') void this.#discard();
      else this.#end();
    });
  }

  async #discard(): Promise<void> {
    this.#relay = undefined;
    const nowhere = await open('/dev/null', 'r+');
    if (this.#over) {
      await nowhere.close();
      return;
    }
    const relay = new Relay({ from: this.#source, to: nowhere.fd, between: this.#terminal });
    this.#relay = relay;
    await relay.done;
    await nowhere.close();
    this.#end();
  }

  #end(): void {
    if (this.#over) return;
    this.#onOver();
    this.#over = true;
    native().close(this.#source);
    this.#resolve();
  }
}

/** Input from a connection; its end, and the connection's, is the process's end of input. Owns both fds. */
function copyInput(connection: number, pipe: number): void {
  void new Relay({ from: connection, to: pipe }).done.then(() => {
    for (const fd of [connection, pipe]) native().close(fd);
  });
}

/** Input from a connection into a terminal, which stays the caller's. The end of it changes nothing, as with Kata. */
function typeInto(connection: number, master: number): Relay {
  const relay = new Relay({ from: connection, to: master, between: true });
  void relay.done.then(() => native().close(connection));
  return relay;
}

const SILENT: Notice = { pause() {}, resume() {}, close() {} };

/** A log for those who ask through the API: there is nothing, and the end. */
const NOTHING_OUT: LogStore = {
  append: () => 'end',
  readAt: () => {},
  forgetBelow: () => {},
  watch: (onReadable) => {
    queueMicrotask(onReadable);
    return SILENT;
  },
  closeSource: () => {},
  close: () => {},
};

const NOTHING_IN: StdinStore = {
  endMark: undefined,
  writeAt: () => {},
  deliver: () => 'gone',
  forgetBelow: () => {},
  watch: () => SILENT,
  close: () => {},
};
