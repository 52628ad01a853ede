// When a boot reached each of its stages, from the host's clock and what the agent says of the guest's.

/** Milliseconds from the call of bootGuest; a stage not reached is absent. */
export interface BootTimeline {
  /** QEMU was started: the vsock device and virtiofsd are up. */
  qemuStartMs: number;
  /** The guest kernel's clock began to run (firmware, loading and unpacking are over). */
  kernelMs?: number;
  /** PID 1 began. */
  initMs?: number;
  /** The agent listens. */
  listeningMs?: number;
}

/** The log line by which the agent says that it accepts connections. Kata's log format has numbers as texts. */
export interface ListeningRecord {
  msg: 'agent listening';
  address: string;
  /** CLOCK_BOOTTIME of the guest at that moment, ms. */
  uptime_ms: number | string;
  /** The same when PID 1 began, ms. */
  init_uptime_ms?: number | string;
}

export function isListening(record: Record<string, unknown>): record is Record<string, unknown> & ListeningRecord {
  return record['msg'] === 'agent listening' && Number.isFinite(Number(record['uptime_ms'] ?? Number.NaN));
}

/** @param seenMs when the host read the line. The line's own way over the console is counted as the guest's time. */
export function timelineOf(qemuStartMs: number, seen?: { record: ListeningRecord; seenMs: number }): BootTimeline {
  if (seen === undefined) return { qemuStartMs };
  const kernelMs = Math.max(qemuStartMs, seen.seenMs - Number(seen.record.uptime_ms));
  const init = Number(seen.record.init_uptime_ms ?? Number.NaN);
  return {
    qemuStartMs,
    kernelMs,
    ...(Number.isFinite(init) ? { initMs: Math.min(seen.seenMs, kernelMs + init) } : {}),
    listeningMs: seen.seenMs,
  };
}
