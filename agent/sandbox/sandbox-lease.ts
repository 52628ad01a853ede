// The lease of the whole sandbox: when no client renews it for its time, what is in the VM goes, and the VM with it.
import { AgentError } from '../errors.ts';
import type { StateStore } from '../keeper/journal.ts';
import type { Clock } from './clock.ts';
import { type Lease, leftOf, startLease } from './leases.ts';

export const SANDBOX_LEASE_KIND = 'sandbox-lease';

/** What is written down of it. */
export interface SandboxLeaseFacts {
  readonly ttlMs: number;
  readonly expiresAt: number | undefined;
}

const MIN_TTL_MS = 1_000;
const MAX_TTL_MS = 86_400_000;

export class SandboxLease {
  readonly #clock: Clock;
  readonly #onExpired: () => void;
  readonly #state: StateStore | undefined;
  #lease: Lease | undefined;

  /** @param onExpired called once, when a lease has run out @param state where it is written down */
  constructor(onExpired: () => void, clock: Clock, state?: StateStore) {
    this.#onExpired = onExpired;
    this.#clock = clock;
    this.#state = state;
  }

  /** As an earlier agent had it, with the time that is left. */
  adopt({ ttlMs, expiresAt }: SandboxLeaseFacts): void {
    this.#start(ttlMs, leftOf(ttlMs, expiresAt, this.#clock));
  }

  /**
   * Asks for the lease or renews it; 0 gives it up.
   * @returns ms from now until it runs out; undefined without a lease @throws invalid_argument
   */
  set(ttlMs: number): number | undefined {
    if (ttlMs === 0) {
      this.#lease?.cancel();
      this.#lease = undefined;
      this.#state?.remove(SANDBOX_LEASE_KIND, '');
      return undefined;
    }
    if (ttlMs < MIN_TTL_MS || ttlMs > MAX_TTL_MS) {
      throw new AgentError('invalid_argument', `ttl_ms ${ttlMs} is not from ${MIN_TTL_MS} to ${MAX_TTL_MS}`, {
        fields: { field: 'ttl_ms' },
      });
    }
    if (this.#lease === undefined) this.#start(ttlMs, ttlMs);
    else this.#lease.renew(ttlMs);
    this.#state?.put(SANDBOX_LEASE_KIND, '', { ttlMs, expiresAt: this.#lease?.expiresAt } satisfies SandboxLeaseFacts);
    return ttlMs;
  }

  #start(ttlMs: number, leftMs: number): void {
    this.#lease = startLease(ttlMs, this.#onExpired, this.#clock, { leftMs });
  }
}
