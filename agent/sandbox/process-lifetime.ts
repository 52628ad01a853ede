// What ends a process though nobody asks for it: its time, its lease, its client's leaving.
import type { Clock } from './clock.ts';
import { startLease } from './leases.ts';
import type { EndReason, ProcessClient, ProcessEntry } from './process-entry.ts';
import type { StartRequest } from './start-process.ts';

/** A timer takes 31 bits of milliseconds. */
const MAX_SLEEP_MS = 2 ** 31 - 1;

export interface LifetimeHost {
  readonly clients: { onGone(client: ProcessClient, callback: () => void): () => void };
  readonly clock: Clock;
  /** At most once for each reason. */
  onEnd(reason: EndReason): void;
}

export interface LifetimeWatch {
  close(): void;
}

/**
 * Watches over the process and what it has started, so it goes on when the process itself has ended: until `close`, or until nothing
 * is left of it.
 */
export function watchLifetime(
  entry: ProcessEntry,
  { lifetime, timeoutMs }: Pick<StartRequest, 'lifetime' | 'timeoutMs'>,
  client: ProcessClient,
  { clients, clock, onEnd }: LifetimeHost,
): LifetimeWatch {
  const cancels: (() => void)[] = [];
  if (lifetime.kind === 'lease') {
    entry.lease = startLease(lifetime.ttlMs, () => onEnd('lease'), clock);
    cancels.push(() => entry.lease?.cancel());
  }
  if (lifetime.kind === 'connection') cancels.push(clients.onGone(client, () => onEnd('connection')));
  if (timeoutMs > 0) cancels.push(afterMs(clock, timeoutMs, () => onEnd('timeout')));
  const close = () => {
    for (const cancel of cancels.splice(0)) cancel();
  };
  void entry.ended.then(async () => {
    if (cancels.length > 0 && (await entry.cgroup?.isEmpty()) !== false) close();
  });
  return { close };
}

function afterMs(clock: Clock, ms: number, run: () => void): () => void {
  const deadline = clock.now() + ms;
  let cancel: () => void;
  const sleep = () => {
    const left = deadline - clock.now();
    cancel = clock.after(Math.min(Math.max(0, left), MAX_SLEEP_MS), () => (clock.now() < deadline ? sleep() : run()));
  };
  sleep();
  return () => cancel();
}
