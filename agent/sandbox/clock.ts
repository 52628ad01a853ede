// What time is to whatever waits: injected, so that tests move it by hand.

export interface Clock {
  /** ms, monotonic; of the system's clock since boot, so that a time means the same to an agent that comes after this one. */
  now(): number;
  /** Returns what cancels it. */
  after(ms: number, run: () => void): () => void;
}

export const SYSTEM_CLOCK: Clock = {
  now: () => Number(process.hrtime.bigint()) / 1e6,
  after: (ms, run) => {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};

/** A timer takes 31 bits of milliseconds. */
const MAX_SLEEP_MS = 2 ** 31 - 1;

/** Runs it at `deadline()`, however far away; a deadline that has been put off when the time is there is waited for anew. @returns what cancels it */
export function atTime(clock: Clock, deadline: () => number, run: () => void): () => void {
  let cancel: () => void;
  const sleep = () => {
    const left = Math.max(0, deadline() - clock.now());
    cancel = clock.after(Math.min(left, MAX_SLEEP_MS), () => (clock.now() < deadline() ? sleep() : run()));
  };
  sleep();
  return () => cancel();
}
