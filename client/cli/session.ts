// Ties a guest process to this terminal or these pipes: output, input, window size and signals, until it ends or is left.
import { isatty } from 'node:tty';
import { isErrno } from '../../agent/errors.ts';
import { exitStatus } from '../api/ending.ts';
import type { ProcessOutput } from '../api/output.ts';
import type { KillOptions, Process } from '../api/process.ts';
import { exitOfSignal } from '../exit-status.ts';
import { DetachKeys } from './detach-keys.ts';
import { writeAll, writeText } from './fd-output.ts';
import { dieBy, numberOf, type RelayedSignal, type SignalRelay } from './signal-relay.ts';
import { RawTerminal, terminalSize } from './terminal.ts';

export interface SessionOptions {
  /** Pass our stdin on. */
  interactive: boolean;
  /** Pass signals on (without a terminal). */
  sigProxy: boolean;
  /** Typed on a terminal, they leave the process to itself; empty for none. */
  detachKeys: Buffer;
}

const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;

/** How long a process may take to end after its terminal or its reader went away. */
const HANGUP_GRACE_MS = 2000;
/** As docker: the third INT or TERM ends the client, whatever the process does. */
const IMPATIENT_AFTER = 3;
/** After the exit, for output that something left behind still holds open. */
export const DRAIN_MS = 500;

export class Session {
  private readonly process: Process;
  private readonly options: SessionOptions;
  private readonly relay: SignalRelay;
  private readonly left = Promise.withResolvers<'detached'>();
  private terminal: RawTerminal | undefined;
  private impatience = 0;
  /** Set once we are going away by ourselves: the status to end with. */
  private leaving: number | undefined;

  constructor(process: Process, relay: SignalRelay, options: SessionOptions) {
    this.process = process;
    this.relay = relay;
    this.options = options;
  }

  /**
   * Runs until the process has ended and its output is written out, or the keys that leave it were typed.
   * @param started what lets the process run; the terminal is ready before
   * @returns the status to exit with
   */
  async run(started: () => Promise<void>): Promise<number | 'detached'> {
    const { terminal, stdout, stderr } = this.process;
    if (terminal && this.options.interactive && isatty(STDIN)) this.terminal = new RawTerminal(STDIN);
    const resize = () => void this.passSize().catch(() => {});
    try {
      // The process must not see any other size first.
      if (terminal) await this.passSize();
      await started();
      this.relay.passTo((signal) => this.onSignal(signal));
      if (terminal) {
        process.on('SIGWINCH', resize);
        // The window may have changed since its size was read.
        resize();
      }
      if (this.options.interactive) void this.feed();
      const copied = Promise.all([this.copy(stdout, STDOUT), this.copy(stderr, STDERR)]);
      const ended = copied.then(() => this.process.wait());
      const ending = await Promise.race([ended, this.left.promise]);
      if (ending !== 'detached') return this.leaving ?? exitStatus(ending);
      this.process.detach();
      await copied;
      return 'detached';
    } finally {
      process.off('SIGWINCH', resize);
      this.terminal?.restore();
    }
  }

  private async passSize(): Promise<void> {
    const size = terminalSize(STDIN) ?? terminalSize(STDOUT);
    if (size !== undefined) await this.process.resize(size.rows, size.columns);
  }

  private async copy(output: ProcessOutput, fd: number): Promise<void> {
    try {
      for await (const piece of output.pieces()) {
        if (piece.kind === 'data') await writeAll(fd, piece.data);
        if (piece.kind === 'gap') await tellGap(piece.from, piece.to);
      }
    } catch (error) {
      if (!isErrno(error, 'EPIPE', 'EIO')) throw error;
      // Nobody reads us any more (EIO: the terminal is gone): what a shell's own process would die of.
      this.hangUp(exitOfSignal(13));
      for await (const _ of output.pieces());
    }
  }

  private async feed(): Promise<void> {
    const { stdin, terminal } = this.process;
    const keys = new DetachKeys(this.terminal === undefined ? Buffer.alloc(0) : this.options.detachKeys);
    try {
      for await (const chunk of process.stdin) {
        const { pass, detach } = keys.take(chunk as Uint8Array);
        if (pass.length > 0) await stdin.write(pass);
        if (detach) return this.left.resolve('detached');
      }
      if (terminal) this.hangUp(exitOfSignal(1));
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
    if (this.process.terminal) {
      // Keys arrive as bytes here, so a signal means that the terminal or its owner is ending us.
      if (fatal) this.hangUp(exitOfSignal(numberOf(signal)));
    } else if (this.options.sigProxy) {
      this.signal(numberOf(signal), { scope: 'leader' });
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
    this.signal(this.process.terminal ? 'HUP' : 'TERM', { scope: 'leader' });
    setTimeout(() => this.signal('KILL', { scope: 'tree' }), HANGUP_GRACE_MS).unref();
  }

  private signal(signal: string | number, options: KillOptions): void {
    this.process.kill(signal, options).catch(() => {});
  }
}

/** Bytes that the guest could not keep: said where it does not get between those that it has kept. */
export function tellGap(from: bigint, to: bigint): Promise<void> {
  return writeText(STDERR, `berth: ${to - from} bytes of output are not kept any more (${from} to ${to})\n`);
}
