// The lease of the whole sandbox: when no client renews it for its time, what is in the VM goes, and the VM with it.
import { AgentError } from '../errors.ts';
import type { Clock } from './clock.ts';
import { type Lease, startLease } from './leases.ts';

const MIN_TTL_MS = 1_000;
const MAX_TTL_MS = 86_400_000;

export class SandboxLease {
  readonly #clock: Clock;
  readonly #onExpired: () => void;
  #lease: Lease | undefined;

  /** @param onExpired called once, when a lease has run out */
  constructor(onExpired: () => void, clock: Clock) {
    this.#onExpired = onExpired;
    this.#clock = clock;
  }

  /**
   * Asks for the lease or renews it; 0 gives it up.
   * @returns ms from now until it runs out; undefined without a lease @throws invalid_argument
   */
  set(ttlMs: number): number | undefined {
    if (ttlMs === 0) {
      this.#lease?.cancel();
      this.#lease = undefined;
      return undefined;
    }
    if (ttlMs < MIN_TTL_MS || ttlMs > MAX_TTL_MS) {
      throw new AgentError('invalid_argument', `ttl_ms ${ttlMs} is not from ${MIN_TTL_MS} to ${MAX_TTL_MS}`, {
        fields: { field: 'ttl_ms' },
      });
    }
    if (this.#lease === undefined) this.#lease = startLease(ttlMs, this.#onExpired, this.#clock);
    else this.#lease.renew(ttlMs);
    return ttlMs;
  }
}
