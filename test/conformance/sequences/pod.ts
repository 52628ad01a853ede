// What both hosts ask for in their sequences: a pod of a pause container and two more, its network and its specs, after what the Go
// runtime leaves of a Kubernetes pod's (kata-agent.md §4.4).
import type { Data } from '../case.ts';

export const SANDBOX_ID = '5a9d0c1e7f3b42d68e90ab1c2d3e4f5061728394a5b6c7d8e9fa0b1c2d3e4f50';
export const WEB_ID = '11aa22bb33cc44dd55ee66ff778899001122334455667788990011223344aabb';
export const JOB_ID = '77cc88dd99ee00ff11aa22bb33cc44dd55ee66ff778899001122334455667788';
export const EXEC_ID = '0c7e4d3a-5b61-4f7e-9a8b-1c2d3e4f5a6b';
export const NIC_MAC = '02:42:ac:11:00:02';
export const CONFIG_FILE = `/run/kata-containers/shared/containers/${WEB_ID}-6c1d-config`;

const CAPABILITIES = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_NET_BIND_SERVICE',
];

export const SPECS: Readonly<Record<string, Data>> = {
  process: {
    User: {},
    Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'KUBERNETES_PORT=tcp://10.96.0.1:443'],
    Cwd: '/',
    Capabilities: { Bounding: CAPABILITIES, Effective: CAPABILITIES, Permitted: CAPABILITIES },
    Rlimits: [{ Type: 'RLIMIT_NOFILE', Hard: 1_048_576, Soft: 1_048_576 }],
    NoNewPrivileges: true,
    OOMScoreAdj: 1000,
  },
  spec: {
    Version: '1.2.0',
    Hostname: 'web-0',
    Mounts: [
      { destination: '/proc', source: 'proc', type: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
      { destination: '/dev', source: 'tmpfs', type: 'tmpfs', options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'] },
      {
        destination: '/dev/pts',
        source: 'devpts',
        type: 'devpts',
        options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
      },
      { destination: '/sys', source: 'sysfs', type: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
      {
        destination: '/sys/fs/cgroup',
        source: 'cgroup',
        type: 'cgroup',
        options: ['nosuid', 'noexec', 'nodev', 'relatime', 'ro'],
      },
      { destination: '/dev/shm', source: '/run/kata-containers/sandbox/shm', type: 'bind', options: ['rbind'] },
    ],
    Annotations: { 'io.katacontainers.pkg.oci.bundle_path': '/run/containerd/io.containerd.runtime.v2.task/k8s.io/pod' },
    Linux: {
      Resources: { Memory: {}, CPU: { Shares: 2, Period: 100_000 } },
      Namespaces: [{ Type: 'ipc' }, { Type: 'uts' }, { Type: 'mount' }],
      MaskedPaths: ['/proc/acpi', '/proc/kcore', '/proc/keys', '/sys/firmware'],
      ReadonlyPaths: ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'],
    },
  },
};

/** A container of the pod on the disk of busybox. */
export function containerOf(
  id: string,
  args: readonly string[],
  linux: { readonly [name: string]: Data } = {},
): { [name: string]: Data } {
  const rootfs = `/run/kata-containers/${id}/rootfs`;
  return {
    container_id: id,
    storages: [{ driver: 'blk', source: '/dev/vdb', fstype: 'erofs', options: ['ro'], mount_point: rootfs }],
    OCI: {
      $like: 'spec',
      Process: { $like: 'process', Args: args },
      Root: { Path: rootfs, Readonly: true },
      Linux: { CgroupsPath: `/kubepods/besteffort/pod6c1d/${id}`, ...linux },
    },
  };
}

/** The rule whose error number and arguments the two hosts write in a different order. */
export const SECCOMP: Data = {
  DefaultAction: 'SCMP_ACT_ALLOW',
  Architectures: ['SCMP_ARCH_X86_64'],
  Syscalls: [
    {
      Names: ['personality'],
      Action: 'SCMP_ACT_ERRNO',
      errnoret: 1,
      Args: [{ Index: 0, Value: 4_294_967_294, Op: 'SCMP_CMP_EQ' }],
    },
  ],
};

export const SHM: Data = {
  driver: 'ephemeral',
  source: 'shm',
  fstype: 'tmpfs',
  options: ['noexec', 'nosuid', 'nodev', 'mode=1777', 'size=67108864'],
  mount_point: '/run/kata-containers/sandbox/shm',
};

export const INTERFACE: Data = {
  device: 'eth0',
  name: 'eth0',
  IPAddresses: [
    { address: '10.244.1.17', mask: '24' },
    { family: 1, address: 'fd00:10:244:1::11', mask: '64' },
  ],
  mtu: 1450,
  hwAddr: NIC_MAC,
};

export const ROUTES: Data = {
  Routes: [
    { gateway: '10.244.1.1', device: 'eth0' },
    { dest: '10.244.1.0/24', device: 'eth0', source: '10.244.1.17', scope: 253 },
    { dest: '10.244.0.0/16', gateway: '10.244.1.1', device: 'eth0' },
  ],
};

export const NEIGHBOURS: Data = {
  ARPNeighbors: [{ toIPAddress: { address: '10.244.1.1' }, device: 'eth0', lladdr: '02:42:ac:11:00:01', state: 0x80 }],
};
