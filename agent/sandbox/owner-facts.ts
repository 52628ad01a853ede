// What is written down of a process on behalf of the client that started it.

/** What ended it when the agent did. */
export type EndReason = 'timeout' | 'lease' | 'connection';

export type Lifetime =
  | { readonly kind: 'keep' }
  | { readonly kind: 'lease'; readonly ttlMs: number }
  | { readonly kind: 'connection' };

export interface OwnerFacts {
  /** The client's name. */
  readonly name: string;
  /** Its session; '' for a client without one. */
  readonly session: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly lifetime: Lifetime;
  readonly graceMs: number;
  readonly forgetWhenDone: boolean;
  /** By the clock (clock.ts); undefined without a timeout. */
  readonly timesOutAt: number | undefined;
  /** Of its lease, by the clock; undefined while somebody is attached. */
  readonly leaseUntil?: number | undefined;
  /** '' for none. */
  readonly key: string;
  /** Of the whole request. */
  readonly digest: string;
  readonly endedBy?: EndReason | undefined;
  readonly oomKilled?: boolean;
}
