// The debug console: a root shell in the guest for whoever connects to its vsock port, off unless the host asks for it. Raw bytes both
// ways, as Kata's tools expect; a connection that ends takes its shell and everything the shell started with it.
import type { Socket } from 'node:net';
import type { Native } from '../../native/index.ts';
import { describeError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { type Shell, startShell } from './shell.ts';

/** Shells at a time; each costs a process, a terminal and a cgroup. */
export const MAX_SESSIONS = 8;
/** What the last output of a shell that has ended may take to its reader. */
const DRAIN_MS = 1_000;
/** The port has no way to tell a size; `stty rows R cols C` sets another. */
const ROWS = 24;
const COLUMNS = 80;

export interface DebugConsoleOptions {
  readonly door: Pick<Native, 'openPty' | 'setWinsize' | 'close'>;
  /** A socket that owns the terminal's fd. */
  readonly socketFromFd: (fd: number) => Socket;
  readonly log: Logger;
  /** Where cgroup2 is mounted. */
  readonly cgroupRoot?: string;
}

export class DebugConsole {
  readonly #options: DebugConsoleOptions;
  readonly #sessions = new Map<Promise<void>, Socket>();
  #opened = 0;
  #closing = false;

  constructor(options: DebugConsoleOptions) {
    this.#options = options;
  }

  get sessions(): number {
    return this.#sessions.size;
  }

  /** Takes a connection over. Only the listener's rule of who may connect stands before it. */
  accept(socket: Socket, peer: string): void {
    // Every way a connection can break ends in 'close'.
    socket.on('error', () => {});
    if (this.#closing || this.#sessions.size >= MAX_SESSIONS) {
      this.#options.log.warn('debug console refused: too many sessions', { peer, limit: MAX_SESSIONS });
      dismiss(socket, `${MAX_SESSIONS} sessions are open already`);
      return;
    }
    const name = `berth-console-${++this.#opened}`;
    const log = this.#options.log.child({ session: name, peer });
    const session = this.#run(socket, name, log)
      .catch((error: unknown) => {
        log.error('debug console failed', { error });
        dismiss(socket, describeError(error));
      })
      .finally(() => this.#sessions.delete(session));
    this.#sessions.set(session, socket);
  }

  /** Ends every session. */
  async close(): Promise<void> {
    this.#closing = true;
    for (const socket of this.#sessions.values()) socket.destroy();
    await Promise.all(this.#sessions.keys());
  }

  async #run(socket: Socket, name: string, log: Logger): Promise<void> {
    const { door } = this.#options;
    const gone = new Promise<void>((resolve) => socket.once('close', resolve).once('end', resolve));
    const { master, slave } = door.openPty();
    const terminal = this.#options.socketFromFd(master);
    // The last process to leave a terminal makes its master fail with EIO (man 4 pts): that is its end.
    terminal.on('error', () => {});
    const finished = new Promise<void>((resolve) => terminal.once('close', resolve));
    let shell: Shell | undefined;
    try {
      try {
        door.setWinsize(master, ROWS, COLUMNS);
        shell = await startShell({ terminalFd: slave, name, cgroupRoot: this.#options.cgroupRoot });
      } finally {
        door.close(slave);
      }
      log.info('debug console opened');
      terminal.pipe(socket, { end: false });
      socket.pipe(terminal, { end: false });
      await Promise.race([shell.ended, gone]);
      await shell.end();
      // Nobody holds the terminal any more; what it has not told yet comes before its end.
      if (!socket.destroyed) await Promise.race([finished, gone, elapsed(DRAIN_MS)]);
    } finally {
      terminal.destroy();
    }
    socket.destroySoon();
    log.info('debug console closed');
  }
}

/** Nothing of the connection may stay, read to its end or not. */
function dismiss(socket: Socket, why: string): void {
  if (!socket.destroyed) socket.write(`debug console: ${why}\r\n`);
  socket.destroySoon();
}

function elapsed(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}
