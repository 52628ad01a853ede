// What a container's spec asks for, read back from inside it by its init process: limits, rights, filters, views.
import assert from 'node:assert/strict';
import type { grpc } from '#proto/kata.js';
import { defaultProcess, defaultSpec } from '../../client/default-spec.ts';
import type { AgentClient } from '../../client/kata/agent-client.ts';
import { GuestProcess } from '../../client/kata/guest-process.ts';
import { prepareRoot } from '../../client/rootfs.ts';
import { sharedGuest, type TestGuest } from '../support/guest.ts';

const MIB = 1024n * 1024n;
const CGROUP = '/sys/fs/cgroup';
const UNLIMITED = 18446744073709551615n;
const [CHOWN, KILL, NET_RAW] = [1 << 0, 1 << 5, 1 << 13];
const hex = (bits: number) => bits.toString(16).padStart(16, '0');
const CAPABILITIES: grpc.LinuxCapabilities.$Properties = {
  Bounding: ['CAP_CHOWN', 'CAP_KILL', 'CAP_NET_RAW'],
  Effective: ['CAP_CHOWN'],
  Permitted: ['CAP_CHOWN', 'CAP_KILL'],
  Inheritable: ['CAP_KILL'],
  Ambient: ['CAP_KILL'],
};
/** man 7 capabilities, "Transformation of capabilities during execve()". */
const sets = (inheritable: number, permitted: number, bounding: number, ambient: number) =>
  [inheritable, permitted, permitted, bounding, ambient].map(hex).join('\n');
const READ_SETS = "grep '^Cap' /proc/self/status | cut -f2";
const deny = (rule: grpc.LinuxSyscall.$Properties): grpc.LinuxSeccomp.$Properties => ({
  DefaultAction: 'SCMP_ACT_ALLOW',
  Architectures: ['SCMP_ARCH_X86_64'],
  Syscalls: [{ Names: ['mkdir', 'mkdirat'], Action: 'SCMP_ACT_ERRNO', ...rule }],
});
const MKDIR = 'mkdir /tmp/x 2>&1 || true';

interface Setting {
  title: string;
  process?: grpc.Process.$Properties;
  linux?: grpc.Linux.$Properties;
  resources?: grpc.LinuxResources.$Properties;
  root?: grpc.Root.$Properties;
  script: string;
  /** What the script prints, without white space at its ends. */
  prints: string | RegExp;
  /** Default 0. */
  status?: number;
}

const SETTINGS: Setting[] = [
  {
    title: 'memory limits',
    resources: { Memory: { Limit: 64n * MIB, Reservation: 32n * MIB, Swap: 96n * MIB } },
    script: `cd ${CGROUP}; cat memory.max memory.low memory.swap.max`,
    prints: [64n * MIB, 32n * MIB, 32n * MIB].join('\n'),
  },
  {
    title: 'shares of the processors',
    resources: { CPU: { Quota: 25_000n, Period: 50_000n, Shares: 1024n, Cpus: '1', Mems: '0' } },
    script: `cd ${CGROUP}; cat cpu.max cpu.weight cpuset.cpus cpuset.mems; grep Cpus_allowed_list /proc/self/status | cut -f2`,
    // 1024 is the default of both scales: 39 by the linear conversion, 100 by the one that keeps defaults.
    prints: /^25000 50000\n(39|100)\n1\n0\n1$/,
  },
  {
    title: 'a limit of processes that holds',
    resources: { Pids: { Limit: 5n } },
    script: `cat ${CGROUP}/pids.max; (for i in 1 2 3 4 5 6 7 8; do sleep 5 & done) 2>&1 | grep -c fork; true`,
    prints: /^5\n1$/,
  },
  {
    title: 'no limit where none is asked for',
    script: `cd ${CGROUP}; cat memory.max cpu.max pids.max memory.swap.max`,
    prints: 'max\nmax 100000\nmax\nmax',
  },
  {
    title: 'all five capability sets of a user other than root',
    process: { User: { UID: 1000, GID: 1000 }, Capabilities: CAPABILITIES },
    script: READ_SETS,
    prints: sets(KILL, KILL, CHOWN | KILL | NET_RAW, KILL),
  },
  {
    title: 'all five capability sets of root, as execve makes them of the bounding set',
    process: { Capabilities: CAPABILITIES },
    script: READ_SETS,
    prints: sets(KILL, CHOWN | KILL | NET_RAW, CHOWN | KILL | NET_RAW, KILL),
  },
  {
    title: 'a filter of system calls, with the errno asked for',
    linux: { Seccomp: deny({ errnoret: 38 }) },
    script: `${MKDIR}; grep '^Seccomp:' /proc/self/status | cut -f2`,
    prints: /Function not implemented\n2$/,
  },
  {
    // crun keeps compiled filters by a checksum that knows no errno (1.28).
    title: 'a filter of system calls that names no errno, with EPERM, beside one that differs in nothing else',
    linux: { Seccomp: deny({}) },
    script: MKDIR,
    prints: /Operation not permitted$/,
  },
  {
    title: 'a filter that looks at an argument',
    linux: { Seccomp: deny({ errnoret: 13, Names: ['chmod'], Args: [{ Index: 1n, Value: 0o700n, Op: 'SCMP_CMP_EQ' }] }) },
    script: 'touch /tmp/x; chmod 700 /tmp/x 2>&1 || true; chmod 711 /tmp/x; stat -c %a /tmp/x',
    prints: /^chmod: \/tmp\/x: Permission denied\n711$/,
  },
  {
    title: 'a filter that ends who breaks it',
    linux: { Seccomp: deny({ Action: 'SCMP_ACT_KILL_PROCESS' }) },
    script: 'exec mkdir /tmp/x',
    prints: '',
    status: 128 + 31,
  },
  {
    title: 'resource limits, soft and hard, up to none at all',
    process: {
      Rlimits: [
        { Type: 'RLIMIT_NOFILE', Soft: 123n, Hard: 456n },
        { Type: 'RLIMIT_CORE', Soft: 0n, Hard: UNLIMITED },
        { Type: 'RLIMIT_NPROC', Soft: 77n, Hard: 77n },
      ],
    },
    script: "ulimit -Sn; ulimit -Hn; ulimit -Sc; ulimit -Hc; awk '/Max processes/ { print $3, $4 }' /proc/self/limits",
    prints: '123\n456\n0\nunlimited\n77 77',
  },
  {
    title: 'kernel parameters of its namespaces',
    linux: { Sysctl: { 'kernel.msgmax': '12345', 'net.ipv4.ip_unprivileged_port_start': '80', 'fs.mqueue.msg_max': '17' } },
    script: 'cd /proc/sys; cat kernel/msgmax net/ipv4/ip_unprivileged_port_start fs/mqueue/msg_max',
    prints: '12345\n80\n17',
  },
  {
    title: 'masked files and directories without their content',
    linux: { MaskedPaths: ['/proc/uptime', '/sys/kernel', '/not/there'] },
    script: 'wc -c < /proc/uptime; ls /sys/kernel | wc -l',
    prints: '0\n0',
  },
  {
    title: 'read-only paths that cannot be written',
    linux: { ReadonlyPaths: ['/proc/sys', '/etc', '/not/there'] },
    script: 'touch /etc/x 2>&1 || echo x 2>&1 > /proc/sys/kernel/msgmax; touch /tmp/y && echo but others can',
    prints: /\/etc\/x: Read-only file system\n.*Read-only file system\nbut others can$/,
  },
  {
    title: 'user, group and additional groups',
    process: { User: { UID: 1234, GID: 2345, AdditionalGids: [7, 4_000_000_000] } },
    script:
      "id -u; id -g; id -G; grep -E '^(Uid|Gid|Groups):' /proc/self/status | tr '\\t' ' '; touch /tmp/f; stat -c '%u %g' /tmp/f",
    prints: [
      '1234\n2345\n2345 7 4000000000\nUid: 1234 1234 1234 1234\nGid: 2345 2345 2345 2345',
      'Groups: 7 4000000000 \n1234 2345',
    ].join('\n'),
  },
  { title: 'a umask that leaves files readable', script: 'umask; touch /tmp/f; stat -c %a /tmp/f', prints: '0022\n644' },
  {
    title: 'no way to new privileges when asked so',
    process: { NoNewPrivileges: true },
    script: 'grep NoNewPrivs /proc/self/status | cut -f2',
    prints: '1',
  },
  {
    title: 'its share of risk when memory ends',
    process: { OOMScoreAdj: 321n },
    script: 'cat /proc/self/oom_score_adj',
    prints: '321',
  },
  {
    title: 'less than its share of risk when asked so',
    process: { OOMScoreAdj: -500n },
    script: 'cat /proc/self/oom_score_adj',
    prints: '-500',
  },
  { title: "nothing of the agent's own protection from the OOM killer", script: 'cat /proc/self/oom_score_adj', prints: '0' },
  {
    title: 'a working directory, made when it is not there',
    process: { Cwd: '/work/here' },
    script: 'pwd; ls /work',
    prints: '/work/here\nhere',
  },
  {
    title: 'an environment, byte for byte',
    process: { Env: ['A=x y', 'B==', 'PATH=/bin', 'C=grüße\n2'] },
    script: "cat /proc/1/environ | tr '\\0' '|'",
    prints: /^A=x y\|B==\|PATH=\/bin\|C=grüße\n2\|(HOME=\/root\|)?$/,
  },
  {
    title: 'devices with owner and mode, and the standard ones',
    linux: {
      Devices: [{ Path: '/dev/null-of-mine', Type: 'c', Major: 1n, Minor: 3n, FileMode: 0o640, UID: 3, GID: 4 }],
    },
    script: "stat -c '%t:%T %a %u %g' /dev/null-of-mine; cd /dev; stat -c '%n %t:%T %a' null zero full random urandom tty",
    prints: '1:3 640 3 4\nnull 1:3 666\nzero 1:5 666\nfull 1:7 666\nrandom 1:8 666\nurandom 1:9 666\ntty 5:0 666',
  },
  {
    title: 'a root that is read-only when asked so',
    root: { Readonly: true },
    script: 'touch /x 2>&1; awk \'$2 == "/" { print $4 }\' /proc/mounts',
    prints: /Read-only file system\nro,/,
  },
  {
    title: 'no descriptor but its streams',
    script: 'ls /proc/self/fd | tr "\\n" " "',
    // 3 is the directory that ls reads.
    prints: '0 1 2 3',
  },
];

describe('a container on a booted guest has inside', function () {
  this.timeout(60_000);
  let guest: TestGuest;
  let client: AgentClient;
  let containers = 0;

  before(async () => {
    guest = await sharedGuest();
    client = await guest.connect('ttrpc');
  });
  after(async () => {
    await client?.close();
  });

  async function create(setting: Omit<Setting, 'title' | 'prints'>): Promise<string> {
    const { process, linux, resources, root, script } = setting;
    const containerId = `setting-${containers++}`;
    const { storages, rootPath } = prepareRoot(containerId, guest.busybox);
    const args = ['sh', '-c', script];
    const base = defaultSpec({ args, rootPath });
    await client.kata.createContainer({
      containerId,
      storages,
      OCI: {
        ...base,
        Process: { ...defaultProcess({ args }), ...process },
        Root: { ...base.Root, ...root },
        Linux: { ...base.Linux, ...linux, Resources: { ...base.Linux?.Resources, ...resources } },
      },
    });
    return containerId;
  }

  for (const { title, prints, status = 0, ...setting } of SETTINGS) {
    it(title, async () => {
      const containerId = await create(setting);
      try {
        await client.kata.startContainer({ containerId });
        const { stdout, stderr, exitCode } = await new GuestProcess(client.kata, { containerId, execId: '' }, false).collect();
        const text = stdout.toString().trim();
        assert.equal(exitCode, status, `${stderr}${text}`);
        if (typeof prints === 'string') assert.equal(text, prints);
        else assert.match(text, prints);
      } finally {
        await client.kata.removeContainer({ containerId });
      }
    });
  }

  it('for an exec without capabilities those of the container, and what the exec itself asks for', async () => {
    const containerId = await create({ process: { Capabilities: CAPABILITIES, OOMScoreAdj: 100n }, script: 'exec sleep inf' });
    const exec = async (execId: string, process: grpc.Process.$Properties, script: string) => {
      const Env = ['PATH=/bin'];
      await client.kata.execProcess({ containerId, execId, process: { Args: ['sh', '-c', script], Cwd: '/', Env, ...process } });
      const { stdout, stderr, exitCode } = await new GuestProcess(client.kata, { containerId, execId }, false).collect();
      assert.equal(exitCode, 0, stderr.toString());
      return stdout.toString().trim();
    };
    try {
      await client.kata.startContainer({ containerId });
      const all = CHOWN | KILL | NET_RAW;
      assert.equal(await exec('plain', {}, READ_SETS), sets(KILL, all, all, KILL));
      const asked = {
        User: { UID: 5, GID: 6, AdditionalGids: [7] },
        Cwd: '/tmp',
        NoNewPrivileges: true,
        OOMScoreAdj: 200n,
        Rlimits: [{ Type: 'RLIMIT_NOFILE', Soft: 50n, Hard: 60n }],
      };
      const script =
        'id -u; id -G; pwd; grep NoNewPrivs /proc/self/status | cut -f2; cat /proc/self/oom_score_adj; ulimit -n; umask';
      assert.equal(await exec('asking', asked, script), '5\n6 7\n/tmp\n1\n200\n50\n0022');
      assert.equal(await exec('risk', {}, 'cat /proc/self/oom_score_adj'), '0');
      assert.equal(await exec('cgroup', {}, 'cat /proc/self/cgroup'), await exec('init', {}, 'cat /proc/1/cgroup'));
    } finally {
      await client.kata.removeContainer({ containerId });
    }
  });
});
