// What removes a container though nobody asks for it: its lease, or its client's leaving. The lease is that of its init process, so being
// attached to that, and Renew, keep the container as well.
import type { Container } from '../container/container.ts';
import type { Logger } from '../log.ts';
import type { Clock } from './clock.ts';
import type { NewEvent } from './event-log.ts';
import { leftOf, startLease } from './leases.ts';
import type { Lifetime, ProcessClient, ProcessEntry, ProcessRef } from './process-entry.ts';
import type { ContainerOrigin } from './sandbox-facts.ts';

export interface ContainerLifetimeHost {
  readonly sandbox: { removeContainer(id: string): Promise<void> };
  readonly processes: { get(ref: ProcessRef): ProcessEntry };
  readonly clients: { onGone(client: ProcessClient, callback: () => void): () => void };
  readonly clock: Clock;
  readonly events: { append(event: NewEvent): unknown };
  readonly log: Logger;
}

export class ContainerLifetimes {
  readonly #host: ContainerLifetimeHost;
  readonly #watched = new WeakMap<Container, Lifetime>();

  constructor(host: ContainerLifetimeHost) {
    this.#host = host;
  }

  of(container: Container): Lifetime {
    return this.#watched.get(container) ?? { kind: 'keep' };
  }

  /** Once for a container: of two creates with one key the first one's counts. */
  watch(container: Container, lifetime: Lifetime, client: ProcessClient): void {
    if (this.#watched.has(container)) return;
    this.#watched.set(container, lifetime);
    if (lifetime.kind === 'connection') {
      const cancel = this.#host.clients.onGone(client, () => void this.#remove(container, 'connection'));
      void container.removed.then(cancel);
    }
    if (lifetime.kind === 'lease') {
      const { record } = container;
      const origin = record.facts.more as ContainerOrigin;
      const lease = startLease(lifetime.ttlMs, () => void this.#remove(container, 'lease'), this.#host.clock, {
        leftMs: leftOf(lifetime.ttlMs, origin.leaseUntil, this.#host.clock),
        onChange: (leaseUntil) => record.update({ more: { ...origin, leaseUntil } }),
      });
      this.#host.processes.get({ containerId: container.id, processId: '' }).lease = lease;
      void container.removed.then(() => lease.cancel());
    }
  }

  async #remove({ id }: Container, reason: string): Promise<void> {
    this.#host.events.append({ kind: 'container.leased-out', containerId: id, fields: { reason } });
    try {
      await this.#host.sandbox.removeContainer(id);
    } catch (error) {
      this.#host.log.error('could not remove a container whose time was over', { container: id, reason, error });
    }
  }
}
