// How a process ended, as a value to branch on. A program that fails has ended, too: nothing of this is an exception.
import type { berth } from '#proto/berth.js';
import { signalName } from '../signals.ts';

/** What every ending tells. */
export interface EndingBase {
  /** By the guest's clock. */
  readonly at: Date;
  /** The kernel killed something of it for the memory limit. */
  readonly oomKilled: boolean;
}

/** How a process ended: branch on `kind`. */
export type Ending =
  /** It returned; 0 is success. */
  | (EndingBase & { readonly kind: 'exited'; readonly code: number })
  /** A signal ended it. */
  | (EndingBase & { readonly kind: 'signalled'; readonly signal: number; readonly name: string; readonly coreDumped: boolean })
  /** The agent ended it, with everything it had started, because this ran out. */
  | (EndingBase & { readonly kind: 'expired'; readonly what: 'timeout' | 'lease' | 'connection' })
  /** It is gone, and how it ended nobody knows. */
  | (EndingBase & { readonly kind: 'lost' });

export function endingOf(exit: berth.v1.Exit.$Properties): Ending {
  const base = { at: new Date(Number(exit.exitedUnixMs ?? 0n)), oomKilled: exit.oomKilled ?? false };
  if (exit.unknown) return { ...base, kind: 'lost' };
  if (exit.endedBy === 'timeout' || exit.endedBy === 'lease' || exit.endedBy === 'connection') {
    return { ...base, kind: 'expired', what: exit.endedBy };
  }
  const signal = exit.signal ?? 0;
  if (signal === 0) return { ...base, kind: 'exited', code: exit.code ?? 0 };
  return { ...base, kind: 'signalled', signal, name: signalName(signal), coreDumped: exit.coreDumped ?? false };
}

/** A shell's number for it: the code, or 128 + the signal; 137 for what the agent killed; 255 when nobody knows. */
export function exitStatus(ending: Ending): number {
  switch (ending.kind) {
    case 'exited':
      return ending.code;
    case 'signalled':
      return 128 + ending.signal;
    case 'expired':
      return 137;
    case 'lost':
      return 255;
  }
}
