// The part of the OCI runtime specification's config.json that Kata's protocol can express and crun is given
// (runtime-spec config.md, config-linux.md; specs-go/config.go for the JSON keys).
// A number that may exceed 2^53 is a bigint; absent means absent, never zero.
import type { ResourcesSpec } from './resources.ts';
import type { SeccompSpec } from './seccomp.ts';

export interface RuntimeSpec {
  ociVersion: string;
  process: ProcessSpec;
  root: RootSpec;
  hostname?: string;
  mounts: MountSpec[];
  hooks?: HooksSpec;
  annotations?: Record<string, string>;
  linux: LinuxSpec;
}

export interface ProcessSpec {
  terminal?: boolean;
  /** Character cells; the kernel holds 16 bits of each. */
  consoleSize?: { height: number; width: number };
  user: UserSpec;
  args: string[];
  /** `KEY=value`, in the order given, byte for byte. */
  env: string[];
  cwd: string;
  capabilities?: CapabilitiesSpec;
  rlimits?: RlimitSpec[];
  noNewPrivileges?: boolean;
  apparmorProfile?: string;
  /** Always written: a child would otherwise inherit the agent's own, which protects from the OOM killer. */
  oomScoreAdj: number;
  selinuxLabel?: string;
}

export interface UserSpec {
  uid: number;
  gid: number;
  additionalGids?: number[];
  umask?: number;
}

export const CAPABILITY_SETS = ['bounding', 'effective', 'inheritable', 'permitted', 'ambient'] as const;
export type CapabilitySet = (typeof CAPABILITY_SETS)[number];
/** Names as in man 7 capabilities, with `CAP_`. */
export type CapabilitiesSpec = Record<CapabilitySet, string[]>;

export interface RlimitSpec {
  /** `RLIMIT_NOFILE` and so on (man 2 getrlimit). */
  type: string;
  soft: bigint;
  hard: bigint;
}

export interface RootSpec {
  path: string;
  readonly?: boolean;
}

export interface MountSpec {
  destination: string;
  source?: string;
  type?: string;
  options?: string[];
}

export const HOOK_KINDS = ['prestart', 'createRuntime', 'createContainer', 'startContainer', 'poststart', 'poststop'] as const;
export type HookKind = (typeof HOOK_KINDS)[number];
export type HooksSpec = Partial<Record<HookKind, HookSpec[]>>;

export interface HookSpec {
  path: string;
  args?: string[];
  env?: string[];
  /** Seconds, above zero. */
  timeout?: number;
}

export interface LinuxSpec {
  uidMappings?: IdMappingSpec[];
  gidMappings?: IdMappingSpec[];
  sysctl?: Record<string, string>;
  resources?: ResourcesSpec;
  cgroupsPath?: string;
  namespaces: NamespaceSpec[];
  devices?: DeviceSpec[];
  seccomp?: SeccompSpec;
  rootfsPropagation?: string;
  maskedPaths?: string[];
  readonlyPaths?: string[];
  mountLabel?: string;
  intelRdt?: { l3CacheSchema: string };
}

export interface IdMappingSpec {
  hostID: number;
  containerID: number;
  size: number;
}

export const NAMESPACE_TYPES = ['pid', 'network', 'mount', 'ipc', 'uts', 'user', 'cgroup', 'time'] as const;
export type NamespaceType = (typeof NAMESPACE_TYPES)[number];

export interface NamespaceSpec {
  type: NamespaceType;
  /** Join this one; absent makes a new one. */
  path?: string;
}

/** A node to be made in the container's /dev: char, unbuffered char, block or fifo. */
export interface DeviceSpec {
  path: string;
  type: 'c' | 'u' | 'b' | 'p';
  major?: number;
  minor?: number;
  fileMode?: number;
  uid: number;
  gid: number;
}
