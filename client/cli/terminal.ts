// The user's own terminal: raw while a session uses it, and put back whatever ends the program.
import { native } from '../../native/index.ts';

export interface TerminalSize {
  rows: number;
  columns: number;
}

/** A terminal in raw mode until it is restored; restoring twice is harmless. */
export class RawTerminal {
  private readonly fd: number;
  private readonly saved: Buffer;
  private raw = true;

  constructor(fd: number) {
    this.fd = fd;
    this.saved = native().makeRaw(fd);
    // `exit` comes after an uncaught error and after process.exit too; no signal that can be caught is left to its default.
    process.on('exit', this.restore);
    // A shell puts its own modes back while we are stopped.
    process.on('SIGCONT', this.enter);
  }

  readonly restore = (): void => {
    if (!this.raw) return;
    this.raw = false;
    process.off('exit', this.restore);
    process.off('SIGCONT', this.enter);
    try {
      native().restoreTerminal(this.fd, this.saved);
    } catch {
      // The terminal is gone, and its modes with it.
    }
  };

  private readonly enter = (): void => {
    if (this.raw) native().makeRaw(this.fd);
  };
}

/** Undefined where the terminal has no size, as a serial line. */
export function terminalSize(fd: number): TerminalSize | undefined {
  try {
    const { rows, columns } = native().getWinsize(fd);
    return rows > 0 && columns > 0 ? { rows, columns } : undefined;
  } catch {
    return undefined;
  }
}
