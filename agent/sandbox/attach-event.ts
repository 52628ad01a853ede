// What an attached client is told of a process, and what its attachment needs of the protocol that tells it.
import type { Turns } from '../process/stream/turns.ts';
import type { Ended } from './process-entry.ts';

export type StreamName = 'stdout' | 'stderr';

/** Who has an output open. */
export interface Holder {
  readonly pid: number;
  readonly command: string;
}

export type AttachEvent =
  | {
      readonly kind: 'data';
      readonly stream: StreamName;
      readonly offset: bigint;
      readonly data: Buffer;
      readonly headroom?: number;
    }
  | { readonly kind: 'gap'; readonly stream: StreamName; readonly from: bigint; readonly to: bigint }
  | {
      readonly kind: 'end';
      readonly stream: StreamName;
      readonly offset: bigint;
      readonly closed: boolean;
      readonly holders: readonly Holder[];
    }
  | { readonly kind: 'held'; readonly stream: StreamName; readonly holders: readonly Holder[] }
  | { readonly kind: 'stdin-accepted'; readonly offset: bigint }
  | { readonly kind: 'stdin-failed'; readonly failure: StdinFailure }
  | { readonly kind: 'exit'; readonly ended: Ended };

export interface StdinFailure {
  readonly reason: 'reader-gone' | 'closed' | 'hole';
  /** Where the next byte is expected. */
  readonly offset: bigint;
  readonly message: string;
}

export interface AttachHost {
  readonly turns: Turns;
  /** Of the client, for its turns. */
  readonly clientId: string;
  readonly signal: AbortSignal;
  /** Resolves once it is out of the agent's memory. */
  send(event: AttachEvent): Promise<void>;
}
