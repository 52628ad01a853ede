// The OCI spec of a container that asks for nothing special: what docker gives one, in the shape of Kata's oci.proto.
// Left to the agent: the pid and cgroup namespaces, the default device nodes, HOME from the root's passwd.
// Not there yet: docker's seccomp profile. The VM is the outer wall; a profile of one's own goes into `Linux.Seccomp`.
import type { grpc } from '#proto/kata.js';
import { capabilitySet } from './capabilities.ts';

import { CPU_PERIOD_US } from './quantity.ts';
import type { UserIds } from './user.ts';

const OCI_VERSION = '1.2.0';
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** The first program of a container. */
export interface ProcessOptions {
  /** argv of the process, at least one element. */
  args: readonly string[];
  /** `KEY=value`; later ones win, also over the defaults. */
  env?: readonly string[];
  cwd?: string;
  user?: UserIds;
  tty?: boolean;
  /** Size of the terminal before the process first looks. */
  size?: { rows: number; columns: number };
  capAdd?: readonly string[];
  capDrop?: readonly string[];
  noNewPrivileges?: boolean;
}

/** A container as its OCI spec describes it; what is left out is as docker has it. */
export interface SpecOptions extends ProcessOptions {
  /** Path of the root in the guest. */
  rootPath: string;
  readonlyRoot?: boolean;
  hostname?: string;
  /** cgroup v2 memory.max, bytes. */
  memoryBytes?: bigint;
  /** cgroup v2 cpu.max, microseconds in each 100 ms. */
  cpuQuotaUs?: number;
  /** cgroup v2 pids.max. */
  pidsLimit?: number;
  /** After the default mounts. */
  mounts?: readonly grpc.IMount[];
  annotations?: Readonly<Record<string, string>>;
}

export function defaultSpec(options: SpecOptions): grpc.ISpec {
  return {
    Version: OCI_VERSION,
    Process: defaultProcess(options),
    Root: { Path: options.rootPath, Readonly: options.readonlyRoot ?? false },
    Hostname: options.hostname ?? '',
    Mounts: [...DEFAULT_MOUNTS, ...(options.mounts ?? [])],
    Annotations: { ...options.annotations },
    Linux: {
      Namespaces: [{ Type: 'mount' }, { Type: 'ipc' }, { Type: 'uts' }],
      Resources: resources(options),
      MaskedPaths: [...MASKED_PATHS],
      ReadonlyPaths: [...READONLY_PATHS],
    },
  };
}

export function defaultProcess(options: ProcessOptions): grpc.IProcess {
  const user = options.user ?? { uid: 0, gid: 0, additionalGids: [] };
  const bounding = capabilitySet(options.capAdd, options.capDrop);
  // What execve would leave a user other than root (man 7 capabilities, "Transformation during execve").
  const effective = user.uid === 0 ? bounding : [];
  return {
    Terminal: options.tty ?? false,
    ...(options.size === undefined ? {} : { ConsoleSize: { Height: options.size.rows, Width: options.size.columns } }),
    User: { UID: user.uid, GID: user.gid, AdditionalGids: user.additionalGids },
    Args: [...options.args],
    Env: environment(options, user.uid),
    Cwd: options.cwd ?? '/',
    Capabilities: { Bounding: bounding, Effective: effective, Permitted: effective, Inheritable: [], Ambient: [] },
    // The kernel's soft limit, since select() breaks above it, and systemd's hard one.
    Rlimits: [{ Type: 'RLIMIT_NOFILE', Hard: 524_288n, Soft: 1024n }],
    NoNewPrivileges: options.noNewPrivileges ?? false,
  };
}

function environment(options: ProcessOptions, uid: number): string[] {
  const defaults = [`PATH=${DEFAULT_PATH}`, ...(options.tty ? ['TERM=xterm'] : []), ...(uid === 0 ? ['HOME=/root'] : [])];
  const byName = new Map<string, string>();
  for (const entry of [...defaults, ...(options.env ?? [])]) byName.set(entry.slice(0, Math.max(0, entry.indexOf('='))), entry);
  return [...byName.values()];
}

function resources(options: SpecOptions): grpc.ILinuxResources {
  return {
    // Everything is refused but what the runtime adds for the default nodes.
    Devices: [{ Allow: false, Type: 'a', Access: 'rwm' }],
    ...(options.memoryBytes === undefined ? {} : { Memory: { Limit: options.memoryBytes } }),
    ...(options.cpuQuotaUs === undefined ? {} : { CPU: { Quota: BigInt(options.cpuQuotaUs), Period: BigInt(CPU_PERIOD_US) } }),
    ...(options.pidsLimit === undefined ? {} : { Pids: { Limit: BigInt(options.pidsLimit) } }),
  };
}

const DEFAULT_MOUNTS: readonly grpc.IMount[] = [
  mount('/proc', 'proc', 'proc', 'nosuid,noexec,nodev'),
  mount('/dev', 'tmpfs', 'tmpfs', 'nosuid,strictatime,mode=755,size=65536k'),
  mount('/dev/pts', 'devpts', 'devpts', 'nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5'),
  mount('/sys', 'sysfs', 'sysfs', 'nosuid,noexec,nodev,ro'),
  mount('/sys/fs/cgroup', 'cgroup', 'cgroup', 'nosuid,noexec,nodev,ro'),
  mount('/dev/mqueue', 'mqueue', 'mqueue', 'nosuid,noexec,nodev'),
  mount('/dev/shm', 'tmpfs', 'shm', 'nosuid,noexec,nodev,mode=1777,size=65536k'),
];

function mount(destination: string, type: string, source: string, options: string): grpc.IMount {
  return { destination, type, source, options: options.split(',') };
}

const MASKED_PATHS = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/sys/devices/virtual/powercap',
  '/sys/firmware',
];

const READONLY_PATHS = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];
