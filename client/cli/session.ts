// Ties a guest process to this terminal or these pipes: output, input, window size and signals, until it ends.
import { isErrno } from '../../agent/errors.ts';
import { exitOfSignal } from '../exit-status.ts';
import type { GuestProcess } from '../guest-process.ts';
import type { OutputStream } from '../output-stream.ts';
import { writeAll } from './fd-output.ts';
import { dieBy, numberOf, type RelayedSignal, type SignalRelay } from './signal-relay.ts';
import { RawTerminal, terminalSize } from './terminal.ts';

export interface SessionOptions {
  /** Pass our stdin on; without it the process gets an empty one. */
  interactive: boolean;
  /** Pass signals on (without a terminal). */
  sigProxy: boolean;
}

const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;

/** How long a process may take to end after its terminal or its reader went away. */
const HANGUP_GRACE_MS = 2000;
/** As docker: the third INT or TERM ends the client, whatever the process does. */
const IMPATIENT_AFTER = 3;

export class Session {
  private readonly process: GuestProcess;
  private readonly options: SessionOptions;
  private readonly relay: SignalRelay;
  private terminal: RawTerminal | undefined;
  private impatience = 0;
  /** Set once we are going away by ourselves: the status to end with. */
  private leaving: number | undefined;

  constructor(process: GuestProcess, relay: SignalRelay, options: SessionOptions) {
    this.process = process;
    this.relay = relay;
    this.options = options;
  }

  /**
   * Runs until the process has ended and its output is written out.
   * @param started what lets the process run; the terminal is ready before
   * @returns the status to exit with
   */
  async run(started: () => Promise<void>): Promise<number> {
    if (this.process.tty && this.options.interactive) this.terminal = new RawTerminal(STDIN);
    const resize = () => void this.passSize().catch(() => {});
    try {
      // The process must not see any other size first.
      if (this.process.tty) await this.passSize();
      await started();
      this.relay.passTo((signal) => this.onSignal(signal));
      if (this.process.tty) {
        process.on('SIGWINCH', resize);
        // The window may have changed since its size was read.
        resize();
      }
      void this.feed();
      await Promise.all([this.copy(this.process.stdout, STDOUT), this.copy(this.process.stderr, STDERR)]);
      const status = await this.process.wait();
      return this.leaving ?? status;
    } finally {
      process.off('SIGWINCH', resize);
      this.terminal?.restore();
    }
  }

  private async passSize(): Promise<void> {
    const size = terminalSize(STDIN) ?? terminalSize(STDOUT);
    if (size !== undefined) await this.process.resize(size.rows, size.columns);
  }

  private async copy(stream: OutputStream, fd: number): Promise<void> {
    try {
      for await (const chunk of stream) await writeAll(fd, chunk);
    } catch (error) {
      if (!isErrno(error, 'EPIPE', 'EIO')) throw error;
      // Nobody reads us any more (EIO: the terminal is gone): what a shell's own process would die of.
      this.hangUp(exitOfSignal(13));
      await stream.drained();
    }
  }

  private async feed(): Promise<void> {
    const { stdin, tty } = this.process;
    try {
      if (!this.options.interactive) {
        // Closing a terminal's input would hang it up.
        if (!tty) await stdin.end();
        return;
      }
      for await (const chunk of process.stdin) await stdin.write(chunk as Uint8Array);
      if (tty) this.hangUp(exitOfSignal(1));
      else await stdin.end();
    } catch {
      // The process has closed its stdin or ended, or the agent is gone; the output loop tells which.
      process.stdin.destroy();
    }
  }

  private onSignal(signal: RelayedSignal): void {
    const fatal = signal === 'SIGTERM' || signal === 'SIGHUP';
    if (signal === 'SIGINT' || fatal) this.impatience += 1;
    if (this.impatience >= IMPATIENT_AFTER) {
      this.terminal?.restore();
      dieBy(signal);
      return;
    }
    if (this.process.tty) {
      // Keys arrive as bytes here, so a signal means that the terminal or its owner is ending us.
      if (fatal) this.hangUp(exitOfSignal(numberOf(signal)));
    } else if (this.options.sigProxy) {
      this.process.signal(numberOf(signal)).catch(() => {});
    } else {
      this.terminal?.restore();
      dieBy(signal);
    }
  }

  /** Ends the process the way a closing terminal does, and by force when that is not enough. */
  private hangUp(status: number): void {
    if (this.leaving !== undefined) return;
    this.leaving = status;
    this.terminal?.restore();
    this.process.signal(this.process.tty ? 'HUP' : 'TERM').catch(() => {});
    setTimeout(() => this.process.signal('KILL').catch(() => {}), HANGUP_GRACE_MS).unref();
  }
}
