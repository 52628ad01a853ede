// How a process ended, and the number that a shell makes of it.

/** How a process ended. Exactly one of `code` and `signal` is set. */
export interface Exit {
  readonly code?: number;
  readonly signal?: number;
  readonly coreDumped: boolean;
  /** Unix time in ms. */
  readonly exitedAt: number;
  /** Only that it is gone is known: the record of how was lost. */
  readonly unknown?: true;
}

/** A shell's number for an exit: the code, or 128 + the signal that killed it. */
export function exitStatus(exit: Exit): number {
  return exit.code ?? 128 + (exit.signal ?? 0);
}
