// What ends a process though nobody asks for it: its time, its lease, its client's leaving.
import { atTime, type Clock } from './clock.ts';
import { leftOf, startLease } from './leases.ts';
import type { OwnerFacts } from './owner-facts.ts';
import type { EndReason, ProcessClient, ProcessEntry } from './process-entry.ts';

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
  { lifetime, timesOutAt, leaseUntil }: Pick<OwnerFacts, 'lifetime' | 'timesOutAt' | 'leaseUntil'>,
  client: ProcessClient,
  { clients, clock, onEnd }: LifetimeHost,
): LifetimeWatch {
  const cancels: (() => void)[] = [];
  if (lifetime.kind === 'lease') {
    const onChange = (until: number | undefined) => entry.note({ leaseUntil: until });
    entry.lease = startLease(lifetime.ttlMs, () => onEnd('lease'), clock, {
      leftMs: leftOf(lifetime.ttlMs, leaseUntil, clock),
      onChange,
    });
    cancels.push(() => entry.lease?.cancel());
  }
  if (lifetime.kind === 'connection') cancels.push(clients.onGone(client, () => onEnd('connection')));
  if (timesOutAt !== undefined)
    cancels.push(
      atTime(
        clock,
        () => timesOutAt,
        () => onEnd('timeout'),
      ),
    );
  const close = () => {
    for (const cancel of cancels.splice(0)) cancel();
  };
  void entry.ended.then(async () => {
    if (cancels.length > 0 && (await entry.cgroup?.isEmpty()) !== false) close();
  });
  return { close };
}
