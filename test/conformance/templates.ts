// Requests and ways that cases have in common, as data: the spec of a container as Kata's hosts send one, and how to get a container.
import type { Data, Step } from './case.ts';

const SOME_CAPABILITIES = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FSETID',
  'CAP_FOWNER',
  'CAP_MKNOD',
  'CAP_NET_RAW',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETFCAP',
  'CAP_SETPCAP',
  'CAP_NET_BIND_SERVICE',
  'CAP_SYS_CHROOT',
  'CAP_KILL',
  'CAP_AUDIT_WRITE',
];
const GUEST_CAPABILITIES = [
  ...SOME_CAPABILITIES,
  'CAP_SYS_ADMIN',
  'CAP_SYS_MODULE',
  'CAP_SYS_PTRACE',
  'CAP_DAC_READ_SEARCH',
  'CAP_NET_ADMIN',
  'CAP_SYS_RESOURCE',
  'CAP_SYS_RAWIO',
];

export const TEMPLATES: Readonly<Record<string, Data>> = {
  process: {
    User: {},
    Args: ['sleep', 'inf'],
    Env: ['PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'TERM=xterm'],
    Cwd: '/',
    Capabilities: { Bounding: SOME_CAPABILITIES, Effective: SOME_CAPABILITIES, Permitted: SOME_CAPABILITIES },
    NoNewPrivileges: true,
  },

  spec: {
    Version: '1.2.0',
    Process: { $like: 'process' },
    Root: { Path: '/run/kata-containers/%{id}/rootfs' },
    Mounts: [
      { destination: '/proc', source: 'proc', type: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
      { destination: '/dev', source: 'tmpfs', type: 'tmpfs', options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'] },
      {
        destination: '/dev/pts',
        source: 'devpts',
        type: 'devpts',
        options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
      },
      {
        destination: '/dev/shm',
        source: 'shm',
        type: 'tmpfs',
        options: ['nosuid', 'noexec', 'nodev', 'mode=1777', 'size=65536k'],
      },
      { destination: '/sys', source: 'sysfs', type: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
      { destination: '/sys/fs/cgroup', source: 'cgroup', type: 'cgroup', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
    ],
    Linux: {
      CgroupsPath: '/%{id}',
      Namespaces: [{ Type: 'ipc' }, { Type: 'uts' }, { Type: 'mount' }],
    },
  },

  /** CreateContainerRequest of a container that sleeps, on a read-only root of busybox. */
  sleeper: {
    container_id: '%{id}',
    exec_id: '%{id}',
    storages: [{ $like: 'root-storage' }],
    OCI: { $like: 'spec' },
  },

  'root-storage': {
    driver: '%{root.driver}',
    source: '%{root.source}',
    fstype: '%{root.fstype}',
    options: ['ro'],
    mount_point: '/run/kata-containers/%{id}/rootfs',
  },

  /** A program in the guest itself, for the runner's eye: the guest's root, its /proc, its network, all it takes to look. */
  'guest-program': {
    OCI: {
      Version: '1.2.0',
      Root: { Path: '/' },
      Process: {
        Args: ['sh'],
        Cwd: '/',
        Env: ['PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'G=/proc/1/root'],
        User: {},
        Capabilities: { Bounding: GUEST_CAPABILITIES, Effective: GUEST_CAPABILITIES, Permitted: GUEST_CAPABILITIES },
      },
      Linux: { Namespaces: [{ Type: 'mount' }], Resources: { Devices: [{ Allow: true, Type: 'a', Access: 'rwm' }] } },
    },
  },

  /** CopyFileRequest of a whole small file, `hello`. */
  'small-file': {
    path: '/run/kata-containers/shared/containers/%{id}/file',
    file_size: 5,
    file_mode: 0o100644,
    dir_mode: 0o755,
    data: 'hello',
  },

  /** A program that stays until it is killed and answers SIGTERM with status 7. */
  'term-7': ['sh', '-c', 'trap "exit 7" TERM; echo ready; while :; do sleep 0.05; done'],
};

export interface Fragment {
  /** What its steps are told unless the case says otherwise. */
  readonly names: { readonly [name: string]: Data };
  readonly steps: readonly Step[];
}

const CREATE: Step = {
  call: 'CreateContainer',
  request: { $like: 'sleeper', OCI: { Process: { Args: '%{args}', Terminal: '%{tty}' }, Linux: '%{linux}' } },
};
const CREATED = { args: ['sleep', 'inf'], tty: false, linux: {} };

export const FRAGMENTS: Readonly<Record<string, Fragment>> = {
  created: { names: CREATED, steps: [CREATE] },
  running: { names: CREATED, steps: [CREATE, { call: 'StartContainer', request: { container_id: '%{id}' } }] },

  /** A program in a container, as the Go runtime sends it: with no capabilities of its own. */
  exec: {
    names: { exec: 'e1', args: ['sleep', 'inf'], tty: false },
    steps: [
      {
        call: 'ExecProcess',
        request: {
          container_id: '%{id}',
          exec_id: '%{exec}',
          process: { User: {}, Args: '%{args}', Env: ['PATH=/usr/sbin:/usr/bin:/sbin:/bin'], Cwd: '/', Terminal: '%{tty}' },
        },
      },
    ],
  },

  /** Runs a script in the container to its end and holds what it prints against `prints`. */
  inside: {
    names: { script: 'true', prints: '' },
    steps: [
      { use: 'exec', with: { exec: 'look', args: ['sh', '-c', '%{script}'] } },
      { collect: 'stdout', container: '%{id}', exec: 'look', text: '%{prints}' },
      { collect: 'stderr', container: '%{id}', exec: 'look', text: '' },
      { call: 'WaitProcess', request: { container_id: '%{id}', exec_id: 'look' }, reply: { status: 0 } },
    ],
  },

  /** Reads what the init prints and how it ends. */
  'runs-to-its-end': {
    names: { prints: '', status: 0 },
    steps: [
      { collect: 'stdout', container: '%{id}', text: '%{prints}' },
      { call: 'WaitProcess', request: { container_id: '%{id}', exec_id: '' }, reply: { status: '%{status}' } },
    ],
  },
};
