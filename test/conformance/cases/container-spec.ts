// From the spec a host sends to what a container gets (kata-agent.md §5.1-5.4, §9.2): read back from inside the container.
import type { ConformanceCase, Data, Refusal, Step } from '../case.ts';

/** A container whose spec differs by `change` and whose init is a script. */
function kept(id: string, change: { readonly [name: string]: Data }, script: string, prints: Data): ConformanceCase {
  const process = (change['Process'] ?? {}) as { readonly [name: string]: Data };
  return {
    id: `container-spec/${id}`,
    rpc: 'CreateContainer',
    kind: 'edge',
    steps: [
      ...started({ ...change, Process: { ...process, Args: ['sh', '-c', script] } }),
      { collect: 'stdout', container: '%{id}', text: prints },
    ],
  };
}

/** The init itself prints. */
function printed(id: string, process: Data, prints: Data): ConformanceCase {
  return {
    id: `container-spec/${id}`,
    rpc: 'CreateContainer',
    kind: 'edge',
    steps: [...started({ Process: process }), { collect: 'stdout', container: '%{id}', text: prints }],
  };
}

function started(change: Data): Step[] {
  return [
    { call: 'CreateContainer', request: { $like: 'sleeper', OCI: change } },
    { call: 'StartContainer', request: { container_id: '%{id}' } },
  ];
}

const NAMED: Refusal['code'] = ['INVALID_ARGUMENT', 'INTERNAL'];

function refused(id: string, change: Data, text: string, code = NAMED): ConformanceCase {
  return {
    id: `container-spec/${id}`,
    rpc: 'CreateContainer',
    kind: 'bad-input',
    steps: [{ call: 'CreateContainer', request: { $like: 'sleeper', OCI: change }, fails: { code, text } }],
  };
}

const seccomp = (rule: { readonly [name: string]: Data }): { readonly [name: string]: Data } => ({
  Process: { NoNewPrivileges: true },
  Linux: {
    Seccomp: {
      DefaultAction: 'SCMP_ACT_ALLOW',
      Architectures: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86'],
      Syscalls: [{ Names: ['mkdir', 'mkdirat'], Action: 'SCMP_ACT_ERRNO', ...rule }],
    },
  },
});
const MKDIR = 'mkdir /dev/shm/x 2>&1 || true';

export const containerSpec: readonly ConformanceCase[] = [
  kept('a-namespace-listed-twice', { Linux: { Namespaces: [{ Type: 'pid' }, { Type: 'pid' }, { Type: 'mount' }] } }, 'echo $$', {
    $match: '^1\n$',
  }),
  kept('an-init-is-process-1-of-a-namespace-of-its-own', {}, 'cat /proc/1/comm; echo $$', 'sh\n1\n'),
  kept(
    'net-sysctl-without-a-network-namespace',
    { Linux: { Sysctl: { 'net.ipv4.ping_group_range': '0 %{n}' } } },
    'cat /proc/sys/net/ipv4/ping_group_range',
    {
      $match: '^0\\s+%{n}\n$',
    },
  ),
  kept('ipc-sysctl', { Linux: { Sysctl: { 'kernel.msgmax': '12345' } } }, 'cat /proc/sys/kernel/msgmax', '12345\n'),
  kept(
    'memory-settings-that-cgroup-v2-has-not',
    { Linux: { Resources: { Memory: { Limit: 67_108_864, Kernel: 1, KernelTCP: 1, Swappiness: 60, DisableOOMKiller: true } } } },
    'cat /sys/fs/cgroup/memory.max',
    '67108864\n',
  ),
  kept(
    'memory-and-swap-limits',
    { Linux: { Resources: { Memory: { Limit: 67_108_864, Reservation: 33_554_432, Swap: 134_217_728 } } } },
    'cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory.low /sys/fs/cgroup/memory.swap.max',
    '67108864\n33554432\n67108864\n',
  ),
  kept('memory-without-a-limit', { Linux: { Resources: { Memory: { Limit: -1 } } } }, 'cat /sys/fs/cgroup/memory.max', 'max\n'),
  kept(
    'cpu-quota-and-shares',
    { Linux: { Resources: { CPU: { Shares: 1024, Quota: 50_000, Period: 100_000 } } } },
    'cat /sys/fs/cgroup/cpu.max /sys/fs/cgroup/cpu.weight',
    { $match: '^50000 100000\n(39|100)\n$' },
  ),
  kept('a-limit-of-pids', { Linux: { Resources: { Pids: { Limit: 33 } } } }, 'cat /sys/fs/cgroup/pids.max', '33\n'),
  kept('cgroups-path-empty', { Linux: { CgroupsPath: '' } }, 'cat /proc/1/cgroup', '0::/\n'),
  kept(
    'cgroups-path-of-systemd',
    { Linux: { CgroupsPath: 'kubepods-pod%{id}.slice:cri-containerd:%{id}' } },
    'cat /proc/1/cgroup',
    '0::/\n',
  ),
  kept('seccomp-without-errno-is-eperm', seccomp({}), MKDIR, { $match: 'Operation not permitted' }),
  kept('seccomp-with-errno', seccomp({ errnoret: 38 }), MKDIR, { $match: 'Function not implemented' }),
  kept(
    'seccomp-with-arguments',
    seccomp({ Names: ['kill'], Args: [{ Index: 1, Value: 10, Op: 'SCMP_CMP_EQ' }] }),
    'kill -10 $$ 2>/dev/null || echo refused; kill -0 $$ && echo allowed',
    'refused\nallowed\n',
  ),
  kept(
    'masked-and-read-only-paths',
    { Linux: { MaskedPaths: ['/proc/kcore', '/no/such'], ReadonlyPaths: ['/proc/sys'] } },
    'wc -c < /proc/kcore; echo 1 2>/dev/null > /proc/sys/kernel/msgmax || echo read-only',
    '0\nread-only\n',
  ),
  kept('hostname-does-not-rename-the-pod', { Hostname: 'other' }, 'hostname', { $not: 'other\n' }),
  kept('apparmor-profile-is-ignored', { Process: { ApparmorProfile: 'no-such-profile' } }, 'echo runs', 'runs\n'),
  kept('selinux-label-is-ignored', { Linux: { MountLabel: 'system_u:object_r:x:s0' } }, 'echo runs', 'runs\n'),
  kept(
    'annotations',
    { Annotations: { 'io.kubernetes.cri.container-type': 'container', 'run.oci.keep_original_groups': '1' } },
    'echo runs',
    'runs\n',
  ),
  kept(
    'device-node-and-its-rule',
    { Linux: { Devices: [{ Path: '/dev/zero2', Type: 'c', Major: 1, Minor: 5, FileMode: 0o666 }] } },
    'head -c 3 /dev/zero2 | wc -c; stat -c %a /dev/zero2',
    '3\n666\n',
  ),
  kept(
    'default-devices',
    {},
    'for d in null zero full tty urandom random; do test -c /dev/$d || echo no $d; done; readlink /dev/fd; readlink /dev/stdin',
    '/proc/self/fd\n/proc/self/fd/0\n',
  ),
  kept(
    'a-device-that-is-not-allowed',
    { Linux: { Resources: { Devices: [{ Allow: false, Access: 'rwm' }] } } },
    'mknod /dev/mem2 c 1 1 2>&1; head -c 1 /dev/mem2 2>&1 | tail -1; head -c 1 /dev/zero | wc -c',
    { $match: 'not permitted.*\n1\n$' },
  ),
  printed(
    'capability-names-without-cap',
    {
      Args: ['grep', 'CapEff', '/proc/self/status'],
      Capabilities: { Bounding: ['KILL'], Effective: ['cap_kill'], Permitted: ['CAP_KILL'] },
    },
    'CapEff:\t0000000000000020\n',
  ),
  printed(
    'environment-byte-for-byte',
    { Args: ['sh', '-c', 'echo "[$A][$B]"'], Env: ['PATH=/bin', 'A= x ', 'B=a=b'] },
    '[ x ][a=b]\n',
  ),
  printed(
    'rlimit-of-infinity',
    {
      Args: ['sh', '-c', 'ulimit -n; ulimit -c'],
      Rlimits: [
        { Type: 'RLIMIT_NOFILE', Soft: 123, Hard: 456 },
        { Type: 'RLIMIT_CORE', Soft: '18446744073709551615', Hard: '18446744073709551615' },
      ],
    },
    '123\nunlimited\n',
  ),
  printed(
    'user-groups',
    { Args: ['sh', '-c', 'id -u; id -g; id -G'], User: { UID: 1000, GID: 1001, AdditionalGids: [7, 8] } },
    '1000\n1001\n1001 7 8\n',
  ),
  printed(
    'oom-score-and-no-new-privileges',
    {
      Args: ['sh', '-c', 'cat /proc/self/oom_score_adj; grep NoNewPrivs /proc/self/status'],
      OOMScoreAdj: 321,
      NoNewPrivileges: true,
    },
    '321\nNoNewPrivs:\t1\n',
  ),
  printed('a-working-directory', { Args: ['pwd'], Cwd: '/proc/sys/kernel' }, '/proc/sys/kernel\n'),
  printed('home-of-the-user', { Args: ['sh', '-c', 'echo $HOME'] }, { $match: '^/.*\n$' }),
  printed(
    'a-terminal-of-the-size-asked-for',
    { Args: ['stty', 'size'], Terminal: true, ConsoleSize: { Height: 33, Width: 77 } },
    '33 77\r\n',
  ),

  refused('sysctl-of-the-whole-guest', { Linux: { Sysctl: { 'kernel.core_pattern': '|/x' } } }, 'kernel.core_pattern'),
  refused('sysctl-of-the-hostname', { Linux: { Sysctl: { 'kernel.hostname': 'x' } } }, 'hostname'),
  refused('sysctl-that-walks-up', { Linux: { Sysctl: { 'net/../kernel/core_pattern': '|/x' } } }, 'sysctl'),
  refused('a-capability-that-does-not-exist', { Process: { Capabilities: { Bounding: ['CAP_FLY'] } } }, 'CAP_FLY|Bounding'),
  refused(
    'a-limit-that-does-not-exist',
    { Process: { Rlimits: [{ Type: 'RLIMIT_FLY', Hard: 1, Soft: 1 }] } },
    'RLIMIT_FLY|Rlimits',
  ),
  refused('a-seccomp-action-that-does-not-exist', seccomp({ Action: 'SCMP_ACT_FLY' }), 'SCMP_ACT_FLY|Action'),
  refused(
    'a-seccomp-operator-that-does-not-exist',
    seccomp({ Args: [{ Index: 0, Value: 1, Op: 'SCMP_CMP_FLY' }] }),
    'SCMP_CMP_FLY|Op',
  ),
  refused(
    'a-device-of-a-type-that-does-not-exist',
    { Linux: { Devices: [{ Path: '/dev/x', Type: 'z', Major: 1, Minor: 3 }] } },
    'type',
  ),
  refused('a-namespace-that-does-not-exist', { Linux: { Namespaces: [{ Type: 'planet' }] } }, 'planet|Type'),
  refused(
    'a-namespace-of-the-guest-by-path',
    { Linux: { Namespaces: [{ Type: 'mount', Path: '/proc/1/ns/mnt' }] } },
    'namespace',
  ),
  refused('a-cgroup-path-that-walks-up', { Linux: { CgroupsPath: '/../init' } }, 'cgroupsPath'),
  refused(
    'a-mount-of-what-is-not-there',
    {
      Mounts: [
        { destination: '/proc', source: 'proc', type: 'proc' },
        { destination: '/mnt', source: '/no/such/source', type: 'bind', options: ['rbind'] },
      ],
    },
    '/no/such/source',
  ),
  refused(
    'a-mount-of-another-process-s-root',
    { Mounts: [{ destination: '/mnt', source: '/proc/1/root', type: 'bind', options: ['rbind'] }] },
    'source',
  ),
  refused('no-arguments', { Process: { Args: [] } }, 'args'),
  refused(
    'uid-mappings-without-a-user-namespace',
    { Linux: { UIDMappings: [{ HostID: 1, ContainerID: 0, Size: 1 }] } },
    'uidMappings|user',
  ),
];
