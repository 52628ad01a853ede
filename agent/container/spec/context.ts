// What prepare.ts and its parts are told about the container's surroundings.

import type { HooksSpec } from './types.ts';

export interface PrepareContext {
  containerId: string;
  /** The bundle's own rootfs: takes the place of the spec's root.path. */
  bundleRootfs: string;
  /** Files pinned or held by the sandbox's namespaces; absent ones are not shared. */
  sandbox: { ipcPath?: string; utsPath?: string; pidPath?: string };
  /** Join the sandbox's pid namespace, if there is one already. */
  sandboxPidns: boolean;
  /** The network namespace containers share unless they list their own: `/proc/<pid>/ns/net`. */
  guestNetns: string;
  /** Every container's cgroup lies below this one; default below the workload's. */
  cgroupParent?: string;
  /** Neither these nor what holds them can be a mount's source; default: the agent's own state. */
  privatePaths?: readonly string[];
  /** Whether hooks of the spec that run as root in the guest, outside the container, are allowed; default no. */
  allowGuestHooks?: boolean;
  /** The guest's own, which every container gets. */
  guestHooks?: HooksSpec;
  /** Told of each field that is left out because it can't work here. */
  onDropped?: OnDropped;
}

export type OnDropped = (field: string, why: string) => void;

/** PID 1 makes it, and bounds what all that lives below may have (native/init/protect.c). */
export const WORKLOAD_CGROUP = '/workload';
export const DEFAULT_CGROUP_PARENT = `${WORKLOAD_CGROUP}/containers`;
export const DEFAULT_PRIVATE_PATHS: readonly string[] = ['/run/berth'];
/** Where a spec may point a namespace to: nothing that a container can write. */
export const NAMESPACE_DIRECTORIES: readonly string[] = [
  '/run/sandbox-ns',
  '/var/run/sandbox-ns',
  '/run/netns',
  '/var/run/netns',
];
