// What is written down of the sandbox, for an agent that comes after this one.
import type { HooksSpec } from '../container/spec/types.ts';
import type { SandboxNamespaces } from '../guest/namespaces.ts';
import type { Lifetime } from './owner-facts.ts';

/** What is written down of a container on behalf of whoever asked for it. */
export interface ContainerOrigin {
  readonly key: string;
  readonly lifetime?: Lifetime | undefined;
  readonly clientSession?: string | undefined;
  /** Of its lease, by the clock (clock.ts); undefined while somebody is attached. */
  readonly leaseUntil?: number | undefined;
}

export const SANDBOX_KIND = 'sandbox';
/** Out-of-memory events that nobody has asked for: ids of containers. */
export const OOM_KIND = 'oom';

/** What is written down of the sandbox itself. */
export interface SandboxFacts {
  /** Only what is `made` counts; the rest is taken down by whoever finds it. */
  readonly phase: 'making' | 'made' | 'destroying';
  readonly id: string;
  readonly namespaces?: SandboxNamespaces | undefined;
  readonly storages: readonly string[];
  readonly guestHooks: HooksSpec;
}
