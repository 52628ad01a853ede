// Catches the signals sent to `berth` for as long as a session lasts. Until there is a process to pass them to, the first
// one is kept, so that a Ctrl-C while the VM boots or the container is made leaves nothing behind.
import { constants } from 'node:os';

/** Not KILL and STOP, which can't be caught; not those that the terminal, the kernel or Node keep for themselves. */
const RELAYED = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGUSR1', 'SIGUSR2', 'SIGALRM'] as const;

export type RelayedSignal = (typeof RELAYED)[number];

export class SignalRelay implements Disposable {
  /** The first signal that came before there was a receiver. */
  pending: RelayedSignal | undefined;
  /** Aborted by that signal, for what can be given up half-way. */
  readonly aborted: AbortSignal;
  private readonly controller = new AbortController();
  private receiver: ((signal: RelayedSignal) => void) | undefined;

  constructor() {
    this.aborted = this.controller.signal;
    for (const signal of RELAYED) process.on(signal, this.take);
  }

  /** From now on signals go to `receiver`; one that came earlier is given to it at once. */
  passTo(receiver: (signal: RelayedSignal) => void): void {
    this.receiver = receiver;
    if (this.pending !== undefined) receiver(this.pending);
  }

  /** For `catch` of what is done before there is a receiver: undefined when it failed since a signal came. @throws the error otherwise */
  readonly unlessInterrupted = (error: unknown): undefined => {
    if (this.pending === undefined) throw error;
  };

  [Symbol.dispose](): void {
    for (const signal of RELAYED) process.off(signal, this.take);
  }

  private readonly take = (signal: NodeJS.Signals): void => {
    if (this.receiver !== undefined) {
      this.receiver(signal as RelayedSignal);
      return;
    }
    this.pending ??= signal as RelayedSignal;
    this.controller.abort();
  };
}

/** Ends this process by `signal`, as if it had never been caught. Works while a write to a stalled reader is under way. */
export function dieBy(signal: RelayedSignal): void {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}

export function numberOf(signal: RelayedSignal): number {
  return constants.signals[signal];
}
