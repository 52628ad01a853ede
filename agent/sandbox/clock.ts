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
