// Time stamps of log lines: RFC 3339 in UTC with nanoseconds. The wall clock gives the time, the monotonic clock what is
// finer than a millisecond; when the wall clock is set (SetGuestDateTime does) the two are lined up again.

/** Largest distance in ms at which the two clocks count as still together. */
const MAX_APART_MS = 5;

export interface Clocks {
  /** Milliseconds since 1970. */
  wallMs(): number;
  /** Milliseconds since any fixed point, with a fraction. */
  monotonicMs(): number;
}

const systemClocks: Clocks = { wallMs: () => Date.now(), monotonicMs: () => performance.now() };

export function createTimestamps(clocks: Clocks = systemClocks): () => string {
  let wallStart = clocks.wallMs();
  let monotonicStart = clocks.monotonicMs();
  return () => {
    const wall = clocks.wallMs();
    const monotonic = clocks.monotonicMs();
    let sinceStart = monotonic - monotonicStart;
    if (Math.abs(wallStart + sinceStart - wall) > MAX_APART_MS) {
      wallStart = wall;
      monotonicStart = monotonic;
      sinceStart = 0;
    }
    const wholeMs = Math.floor(sinceStart);
    const nanos = Math.floor((sinceStart - wholeMs) * 1e6);
    return new Date(wallStart + wholeMs).toISOString().replace('Z', `${String(nanos).padStart(6, '0')}Z`);
  };
}
