// How long things live without anybody asking for them: a pure table of leases, its clock injected.
// INVARIANT: a lease runs out once, and never while somebody is attached.

import { atTime, type Clock } from './clock.ts';

export interface Lease {
  /** From now on for its whole time again. */
  renew(ttlMs?: number): void;
  /** Holds it while somebody is there: call what it returns when they have gone, and its time begins anew. */
  attach(): () => void;
  /** When it runs out unless something happens, by the clock; undefined while somebody is attached or after its end. */
  readonly expiresAt: number | undefined;
  /** Never runs out any more. */
  cancel(): void;
}

/** A client that has lost its connection is back within this. */
const REDIAL_MS = 10_000;

export interface LeaseOptions {
  /** Until it runs out for the first time; its whole time unless told. */
  readonly leftMs?: number;
  /** Told of each change of `expiresAt`. */
  readonly onChange?: (expiresAt: number | undefined) => void;
}

export function startLease(ttlMs: number, onExpired: () => void, clock: Clock, options: LeaseOptions = {}): Lease {
  return new TimedLease(ttlMs, onExpired, clock, options);
}

/** How long a lease of an earlier agent has left, by the clock: time for its client to find this one is given in any case. */
export function leftOf(ttlMs: number, expiresAt: number | undefined, clock: Clock): number {
  if (expiresAt === undefined) return ttlMs;
  return Math.min(ttlMs, Math.max(expiresAt - clock.now(), REDIAL_MS));
}

class TimedLease implements Lease {
  readonly #clock: Clock;
  readonly #onExpired: () => void;
  readonly #onChange: LeaseOptions['onChange'];
  #ttlMs: number;
  #deadline: number;
  #attached = 0;
  #over = false;
  #cancelTimer: () => void;

  constructor(ttlMs: number, onExpired: () => void, clock: Clock, { leftMs = ttlMs, onChange }: LeaseOptions) {
    this.#clock = clock;
    this.#onExpired = onExpired;
    this.#onChange = onChange;
    this.#ttlMs = ttlMs;
    this.#deadline = clock.now() + leftMs;
    this.#cancelTimer = this.#sleep();
  }

  get expiresAt(): number | undefined {
    return this.#over || this.#attached > 0 ? undefined : this.#deadline;
  }

  renew(ttlMs: number = this.#ttlMs): void {
    if (this.#over) return;
    const sooner = ttlMs < this.#ttlMs;
    this.#ttlMs = ttlMs;
    this.#deadline = this.#clock.now() + ttlMs;
    this.#onChange?.(this.expiresAt);
    // A timer that comes too early sleeps again, so only one that would come too late is set anew.
    if (sooner) this.#wakeAnew();
  }

  attach(): () => void {
    this.#attached++;
    if (this.#attached === 1) this.#onChange?.(undefined);
    let attached = true;
    return () => {
      if (!attached) return;
      attached = false;
      this.#attached--;
      this.renew();
      if (this.#attached === 0) this.#wakeAnew();
    };
  }

  cancel(): void {
    this.#over = true;
    this.#cancelTimer();
  }

  #wakeAnew(): void {
    if (this.#over) return;
    this.#cancelTimer();
    this.#cancelTimer = this.#sleep();
  }

  /** @returns what cancels it */
  #sleep(): () => void {
    const expire = () => {
      if (this.#attached > 0) return;
      this.#over = true;
      this.#onExpired();
    };
    return atTime(this.#clock, () => this.#deadline, expire);
  }
}
