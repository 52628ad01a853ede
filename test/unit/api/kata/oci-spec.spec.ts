import assert from 'node:assert/strict';
import fc from 'fast-check';
import { grpc } from '#proto/kata.js';
import { toProcessSpec, toRuntimeSpec } from '../../../../agent/api/kata/oci-spec.ts';
import { stringifySpec } from '../../../../agent/container/spec/json.ts';
import { hasCode } from '../../../../agent/errors.ts';

type Message = grpc.Spec.$Shape;

/** As it arrives: encoded and decoded, so that defaults and absent fields are the wire's. */
function overTheWire(message: Message): Message {
  return grpc.Spec.decode(grpc.Spec.encode(message).finish());
}

function convert(message: Message) {
  return toRuntimeSpec(overTheWire(message));
}

const minimal = (): Message => ({ Process: { Args: ['sh'], Cwd: '/' }, Root: { Path: '/r' }, Linux: {} });
const withProcess = (process: grpc.Process.$Shape): Message => ({
  ...minimal(),
  Process: { Args: ['sh'], Cwd: '/', ...process },
});
const withLinux = (linux: grpc.Linux.$Shape): Message => ({ ...minimal(), Linux: linux });

const uint64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const int64 = fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n });

describe('the conversion of an OCI spec from Kata', () => {
  it('writes nothing for what is zero or empty on the wire, but the user and the OOM score', () => {
    assert.equal(
      stringifySpec(convert(minimal())),
      '{"ociVersion":"1.0.2","process":{"user":{"uid":0,"gid":0},"args":["sh"],"env":[],"cwd":"/","oomScoreAdj":0},' +
        '"root":{"path":"/r"},"mounts":[],"linux":{"namespaces":[]}}',
    );
  });

  it('renames every field to its key in config.json', () => {
    const spec = convert({
      Version: '1.1.0',
      Process: {
        Terminal: true,
        ConsoleSize: { Height: 24, Width: 80 },
        User: { UID: 1, GID: 2, AdditionalGids: [3, 4], Username: 'dropped' },
        Args: ['a', ''],
        Env: ['K=v'],
        Cwd: '/w',
        Capabilities: { Bounding: ['CAP_KILL'], Effective: [], Inheritable: [], Permitted: ['CAP_KILL'], Ambient: [] },
        Rlimits: [{ Type: 'RLIMIT_CORE', Soft: 0n, Hard: 0n }],
        NoNewPrivileges: true,
        ApparmorProfile: 'aa',
        OOMScoreAdj: -500n,
        SelinuxLabel: 'se',
      },
      Root: { Path: '/r', Readonly: true },
      Hostname: 'h',
      Mounts: [{ destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid'] }],
      Hooks: { StartContainer: [{ Path: '/h', Args: ['h'], Env: ['A=b'], Timeout: 5n }] },
      Annotations: { k: 'v' },
      Linux: {
        UIDMappings: [{ HostID: 1, ContainerID: 2, Size: 3 }],
        GIDMappings: [{ HostID: 4, ContainerID: 5, Size: 6 }],
        Sysctl: { 'net.a': '1' },
        CgroupsPath: '/c',
        Namespaces: [{ Type: 'network', Path: '/run/netns/x' }, { Type: 'pid' }],
        Devices: [{ Path: '/dev/x', Type: 'c', Major: 1n, Minor: 0n, FileMode: 0o600, UID: 7, GID: 8 }],
        RootfsPropagation: 'rslave',
        MaskedPaths: ['/m'],
        ReadonlyPaths: ['/ro'],
        MountLabel: 'ml',
        IntelRdt: { L3CacheSchema: 's' },
      },
    });
    assert.deepEqual(JSON.parse(stringifySpec(spec)), {
      ociVersion: '1.1.0',
      process: {
        terminal: true,
        consoleSize: { height: 24, width: 80 },
        user: { uid: 1, gid: 2, additionalGids: [3, 4] },
        args: ['a', ''],
        env: ['K=v'],
        cwd: '/w',
        capabilities: { bounding: ['CAP_KILL'], effective: [], inheritable: [], permitted: ['CAP_KILL'], ambient: [] },
        rlimits: [{ type: 'RLIMIT_CORE', soft: 0, hard: 0 }],
        noNewPrivileges: true,
        apparmorProfile: 'aa',
        oomScoreAdj: -500,
        selinuxLabel: 'se',
      },
      root: { path: '/r', readonly: true },
      hostname: 'h',
      mounts: [{ destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid'] }],
      hooks: { startContainer: [{ path: '/h', args: ['h'], env: ['A=b'], timeout: 5 }] },
      annotations: { k: 'v' },
      linux: {
        uidMappings: [{ hostID: 1, containerID: 2, size: 3 }],
        gidMappings: [{ hostID: 4, containerID: 5, size: 6 }],
        sysctl: { 'net.a': '1' },
        cgroupsPath: '/c',
        namespaces: [{ type: 'network', path: '/run/netns/x' }, { type: 'pid' }],
        devices: [{ path: '/dev/x', type: 'c', major: 1, minor: 0, fileMode: 0o600, uid: 7, gid: 8 }],
        rootfsPropagation: 'rslave',
        maskedPaths: ['/m'],
        readonlyPaths: ['/ro'],
        mountLabel: 'ml',
        intelRdt: { l3CacheSchema: 's' },
      },
    });
  });

  it('keeps each hook list apart and leaves out a time-out of zero', () => {
    const kinds = ['Prestart', 'CreateRuntime', 'CreateContainer', 'StartContainer', 'Poststart', 'Poststop'];
    const hooks = Object.fromEntries(kinds.map((kind) => [kind, [{ Path: `/${kind}`, Timeout: 0n }]]));
    assert.equal(
      stringifySpec(convert({ ...minimal(), Hooks: hooks }).hooks),
      '{"prestart":[{"path":"/Prestart"}],"createRuntime":[{"path":"/CreateRuntime"}],"createContainer":[{"path":"/CreateContainer"}],' +
        '"startContainer":[{"path":"/StartContainer"}],"poststart":[{"path":"/Poststart"}],"poststop":[{"path":"/Poststop"}]}',
    );
  });

  it('keeps resource limits exact to the last bit, up to RLIM_INFINITY', () => {
    fc.assert(
      fc.property(uint64, uint64, (soft, hard) => {
        const text = stringifySpec(convert(withProcess({ Rlimits: [{ Type: 'RLIMIT_NOFILE', Soft: soft, Hard: hard }] })));
        assert.ok(text.includes(`"rlimits":[{"type":"RLIMIT_NOFILE","soft":${soft},"hard":${hard}}]`), text);
      }),
      { examples: [[18446744073709551615n, 18446744073709551615n]] },
    );
  });

  it('keeps memory, CPU and pids limits exact, negative ones too', () => {
    const nonZero = int64.filter((value) => value !== 0n);
    fc.assert(
      fc.property(nonZero, nonZero, nonZero, nonZero, (limit, swap, quota, pids) => {
        const text = stringifySpec(
          convert(
            withLinux({ Resources: { Memory: { Limit: limit, Swap: swap }, CPU: { Quota: quota }, Pids: { Limit: pids } } }),
          ),
        );
        assert.ok(
          text.includes(`"memory":{"limit":${limit},"swap":${swap}},"cpu":{"quota":${quota}},"pids":{"limit":${pids}}`),
          text,
        );
      }),
    );
  });

  it('keeps the arguments of seccomp rules exact', () => {
    fc.assert(
      fc.property(uint64, uint64, (value, valueTwo) => {
        const rule = {
          Names: ['clone'],
          Action: 'SCMP_ACT_ERRNO',
          Args: [{ Index: 5n, Value: value, ValueTwo: valueTwo, Op: 'SCMP_CMP_MASKED_EQ' }],
        };
        const text = stringifySpec(convert(withLinux({ Seccomp: { DefaultAction: 'SCMP_ACT_ALLOW', Syscalls: [rule] } })));
        assert.ok(text.includes(`"args":[{"index":5,"value":${value},"valueTwo":${valueTwo},"op":"SCMP_CMP_MASKED_EQ"}]`), text);
      }),
    );
  });

  it('tells an errno of zero from none', () => {
    const errnoRet = (rule: grpc.LinuxSyscall.$Shape) =>
      convert(
        withLinux({
          Seccomp: { DefaultAction: 'SCMP_ACT_ALLOW', Syscalls: [{ Names: ['x'], Action: 'SCMP_ACT_ERRNO', ...rule }] },
        }),
      ).linux.seccomp?.syscalls?.[0]?.errnoRet;
    assert.equal(errnoRet({}), undefined);
    assert.equal(errnoRet({ errnoret: 0 }), 0);
    assert.equal(errnoRet({ errnoret: 38 }), 38);
  });

  it('passes the environment on as it is, blanks and entries without a value included', () => {
    const env = ['PATH=/bin', ' A = b ', 'EMPTY=', 'NAKED', '', 'Ü=ß\n\t'];
    assert.deepEqual(convert(withProcess({ Env: env })).process.env, env);
  });

  it('writes capabilities with their prefix, once, however they came', () => {
    const names = ['CAP_KILL', 'kill', '"CAP_CHOWN"', 'SYS_ADMIN', 'cap_bpf'];
    const { capabilities } = convert(withProcess({ Capabilities: { Bounding: names } })).process;
    assert.deepEqual(capabilities?.bounding, ['CAP_KILL', 'CAP_CHOWN', 'CAP_SYS_ADMIN', 'CAP_BPF']);
    assert.deepEqual(capabilities?.ambient, []);
  });

  it('tells no capabilities from empty ones, which an exec needs', () => {
    assert.equal(toProcessSpec(grpc.Process.decode(grpc.Process.encode({ Args: ['a'] }).finish())).capabilities, undefined);
    assert.notEqual(toProcessSpec({ Args: ['a'], Capabilities: {} }).capabilities, undefined);
  });

  it('reads device numbers of rules as "any" when zero or -1, and those of nodes as they are', () => {
    const { linux } = convert(
      withLinux({
        Devices: [{ Path: '/dev/f', Type: 'p', Major: 9n, Minor: 9n }],
        Resources: {
          Devices: [
            { Allow: true, Major: -1n, Minor: 0n },
            { Type: 'c', Major: 1n, Minor: 3n, Access: 'r' },
          ],
        },
      }),
    );
    assert.equal(
      stringifySpec(linux.resources?.devices),
      '[{"allow":true,"access":"rwm"},{"allow":false,"type":"c","major":1,"minor":3,"access":"r"}]',
    );
    assert.equal(stringifySpec(linux.devices), '[{"path":"/dev/f","type":"p","uid":0,"gid":0}]');
  });

  const refused: { title: string; message: Message; field: string }[] = [
    { title: 'no process', message: { ...minimal(), Process: null }, field: 'OCI.Process' },
    { title: 'no root', message: { ...minimal(), Root: null }, field: 'OCI.Root' },
    { title: 'no arguments', message: withProcess({ Args: [] }), field: 'OCI.Process.Args' },
    { title: 'an empty program', message: withProcess({ Args: ['', 'x'] }), field: 'OCI.Process.Args' },
    { title: 'no linux', message: { ...minimal(), Linux: null }, field: 'OCI.Linux' },
    {
      title: 'an unknown capability',
      message: withProcess({ Capabilities: { Bounding: ['KILL', 'KILL', 'CHOWN', 'CAP_NOTHING'] } }),
      field: 'OCI.Process.Capabilities.Bounding[3]',
    },
    {
      title: 'an unknown resource limit',
      message: withProcess({ Rlimits: [{ Type: 'NOFILE' }] }),
      field: 'OCI.Process.Rlimits[0].Type',
    },
    { title: 'an OOM score out of range', message: withProcess({ OOMScoreAdj: 1001n }), field: 'OCI.Process.OOMScoreAdj' },
    { title: 'a NUL in an argument', message: withProcess({ Args: ['sh', 'a\0b'] }), field: 'OCI.Process.Args[1]' },
    { title: 'a NUL in the environment', message: withProcess({ Env: ['A=\0'] }), field: 'OCI.Process.Env[0]' },
    {
      title: 'a NUL in a mount option',
      message: { ...minimal(), Mounts: [{ options: ['ro\0'] }] },
      field: 'OCI.Mounts[0].options[0]',
    },
    { title: 'a NUL in an annotation', message: { ...minimal(), Annotations: { a: '\0' } }, field: 'OCI.Annotations["a"]' },
    {
      title: 'a negative hook time-out',
      message: { ...minimal(), Hooks: { Poststop: [{ Timeout: -1n }] } },
      field: 'OCI.Hooks.Poststop[0].Timeout',
    },
    {
      title: 'an unknown namespace',
      message: withLinux({ Namespaces: [{ Type: 'pid' }, { Type: 'PID' }] }),
      field: 'OCI.Linux.Namespaces[1].Type',
    },
    { title: 'an unknown device type', message: withLinux({ Devices: [{ Type: 'x' }] }), field: 'OCI.Linux.Devices[0].Type' },
    {
      title: 'a device number out of range',
      message: withLinux({ Devices: [{ Type: 'b', Major: 4096n }] }),
      field: 'OCI.Linux.Devices[0].Major',
    },
    {
      title: 'an unknown rule type',
      message: withLinux({ Resources: { Devices: [{ Type: 'ab' }] } }),
      field: 'OCI.Linux.Resources.Devices[0].Type',
    },
    {
      title: 'unknown access',
      message: withLinux({ Resources: { Devices: [{ Access: 'rx' }] } }),
      field: 'OCI.Linux.Resources.Devices[0].Access',
    },
    {
      title: 'an unknown default action',
      message: withLinux({ Seccomp: { DefaultAction: 'ALLOW' } }),
      field: 'OCI.Linux.Seccomp.DefaultAction',
    },
    { title: 'no default action', message: withLinux({ Seccomp: {} }), field: 'OCI.Linux.Seccomp.DefaultAction' },
    {
      title: 'a seccomp action that needs a listener',
      message: withLinux({ Seccomp: { DefaultAction: 'SCMP_ACT_ALLOW', Syscalls: [{ Action: 'SCMP_ACT_NOTIFY' }] } }),
      field: 'OCI.Linux.Seccomp.Syscalls[0].Action',
    },
    {
      title: 'an unknown seccomp operator',
      message: withLinux({
        Seccomp: { DefaultAction: 'SCMP_ACT_LOG', Syscalls: [{ Action: 'SCMP_ACT_LOG', Args: [{ Op: '==' }] }] },
      }),
      field: 'OCI.Linux.Seccomp.Syscalls[0].Args[0].Op',
    },
    {
      title: 'a seventh system call argument',
      message: withLinux({
        Seccomp: {
          DefaultAction: 'SCMP_ACT_LOG',
          Syscalls: [{ Action: 'SCMP_ACT_LOG', Args: [{ Index: 6n, Op: 'SCMP_CMP_EQ' }] }],
        },
      }),
      field: 'OCI.Linux.Seccomp.Syscalls[0].Args[0].Index',
    },
    {
      title: 'an unknown architecture',
      message: withLinux({ Seccomp: { DefaultAction: 'SCMP_ACT_LOG', Architectures: ['x86'] } }),
      field: 'OCI.Linux.Seccomp.Architectures[0]',
    },
    {
      title: 'an unknown seccomp flag',
      message: withLinux({ Seccomp: { DefaultAction: 'SCMP_ACT_LOG', Flags: ['SECCOMP_FILTER_FLAG_NEW_LISTENER'] } }),
      field: 'OCI.Linux.Seccomp.Flags[0]',
    },
  ];
  for (const { title, message, field } of refused) {
    it(`refuses ${title} and names the field`, () => {
      assert.throws(
        () => convert(message),
        (error) =>
          hasCode(error, 'invalid_argument') && error.fields['field'] === field && error.message.startsWith(`${field}: `),
      );
    });
  }

  it('refuses arguments and environment above 2 MiB as a limit', () => {
    const half = 'x'.repeat(1024 * 1024);
    assert.throws(
      () => convert(withProcess({ Args: [half], Env: [half] })),
      (error) => hasCode(error, 'resource_exhausted') && error.fields['limit'] === 'args-and-env-bytes',
    );
  });
});
