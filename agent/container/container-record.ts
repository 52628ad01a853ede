// What is written down of one container: from before its first effect until after its last trace is gone.
import type { StateStore } from '../keeper/journal.ts';
import { StateRecord } from '../keeper/state-record.ts';

export const CONTAINER_KIND = 'container';

export interface ContainerFacts {
  readonly id: string;
  /** Only what is `made` was ever told to anybody, or will be; the rest is taken down by whoever finds it. */
  readonly phase: 'making' | 'made' | 'removing';
  readonly labels: Readonly<Record<string, string>>;
  /** Name of the client that made it. */
  readonly owner: string;
  /** From the mount of cgroup2 on. */
  readonly cgroupPath: string;
  /** Unix time in ms. */
  readonly createdAt: number;
  readonly startedAt?: number;
  /** It was about to be started. */
  readonly starting?: boolean;
  /** Mount points of the storages that it holds. */
  readonly storages: readonly string[];
  readonly guestAddresses: readonly (readonly [string, string])[];
  /** Out-of-memory kills that have been told. */
  readonly oomKills: number;
  /** The others of its pod may join its pid namespace. */
  readonly sharesPidns?: boolean;
  /** What whoever asked for it has to say of it (sandbox/). */
  readonly more?: unknown;
}

export type ContainerRecord = StateRecord<ContainerFacts>;

/** Written when this returns. @throws resource_exhausted */
export function recordContainer(store: StateStore, facts: ContainerFacts): ContainerRecord {
  return new StateRecord<ContainerFacts>(store, CONTAINER_KIND, facts.id, facts);
}
