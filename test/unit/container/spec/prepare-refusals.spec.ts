import assert from 'node:assert/strict';
import fc from 'fast-check';
import { prepareSpec } from '../../../../agent/container/spec/prepare.ts';
import type { LinuxSpec, MountSpec, ProcessSpec, RuntimeSpec } from '../../../../agent/container/spec/types.ts';
import { hasCode } from '../../../../agent/errors.ts';

const base = (): RuntimeSpec => ({
  ociVersion: '1.0.2',
  process: { user: { uid: 0, gid: 0 }, args: ['sh'], env: [], cwd: '/', oomScoreAdj: 0 },
  root: { path: '/' },
  mounts: [],
  linux: { namespaces: [] },
});

function prepare(spec: RuntimeSpec) {
  return prepareSpec(spec, {
    containerId: 'c1',
    bundleRootfs: '/b',
    sandbox: {},
    sandboxPidns: false,
    guestNetns: '/proc/9/ns/net',
  });
}

const ofLinux = (linux: Partial<LinuxSpec>): RuntimeSpec => ({ ...base(), linux: { namespaces: [], ...linux } });
const ofProcess = (process: Partial<ProcessSpec>): RuntimeSpec => ({ ...base(), process: { ...base().process, ...process } });
const ofMount = (mount: MountSpec): RuntimeSpec => ({ ...base(), mounts: [{ destination: '/ok' }, mount] });
const ofSysctl = (key: string, namespaces: LinuxSpec['namespaces'] = []) => ofLinux({ sysctl: { [key]: '1' }, namespaces });
const bind = (source: string | undefined, destination = '/x'): RuntimeSpec =>
  ofMount({ destination, source, type: 'bind', options: ['rbind'] });

const REFUSED: { title: string; spec: RuntimeSpec; field: string }[] = [
  // Hooks: programs run as root in the guest.
  ...(['prestart', 'createRuntime', 'createContainer', 'poststart', 'poststop'] as const).map((kind) => ({
    title: `a ${kind} hook`,
    spec: { ...base(), hooks: { [kind]: [{ path: '/h' }] } },
    field: `hooks.${kind}`,
  })),
  {
    title: 'a hook with a relative path',
    spec: { ...base(), hooks: { startContainer: [{ path: 'h' }] } },
    field: 'hooks.startContainer[0].path',
  },
  // Namespaces.
  {
    title: "the guest's own mount namespace",
    spec: ofLinux({ namespaces: [{ type: 'mount', path: '/proc/1/ns/mnt' }] }),
    field: 'linux.namespaces[0].path',
  },
  {
    title: "another process's network namespace",
    spec: ofLinux({ namespaces: [{ type: 'network', path: '/proc/1/ns/net' }] }),
    field: 'linux.namespaces[0].path',
  },
  {
    title: 'a user namespace from a file of a container',
    spec: ofLinux({ namespaces: [{ type: 'pid' }, { type: 'user', path: '/run/kata-containers/x/ns' }], uidMappings: [] }),
    field: 'linux.namespaces[1].path',
  },
  {
    title: 'a namespace path that climbs',
    spec: ofLinux({ namespaces: [{ type: 'cgroup', path: '/run/netns/../../proc/1/ns/cgroup' }] }),
    field: 'linux.namespaces[0].path',
  },
  {
    title: 'one type with two paths',
    spec: ofLinux({ namespaces: [{ type: 'network' }, { type: 'network', path: '/run/netns/a' }] }),
    field: 'linux.namespaces[1].type',
  },
  {
    title: 'a new user namespace without mappings',
    spec: ofLinux({ namespaces: [{ type: 'user' }] }),
    field: 'linux.uidMappings',
  },
  {
    title: 'mappings without a user namespace',
    spec: ofLinux({ gidMappings: [{ hostID: 0, containerID: 0, size: 1 }] }),
    field: 'linux.gidMappings',
  },
  { title: 'a hostname without a uts namespace', spec: { ...base(), hostname: 'h' }, field: 'hostname' },
  // Kernel parameters.
  {
    title: 'a parameter of the whole kernel',
    spec: ofSysctl('kernel.core_pattern'),
    field: 'linux.sysctl["kernel.core_pattern"]',
  },
  { title: 'vm parameters', spec: ofSysctl('vm.swappiness'), field: 'linux.sysctl["vm.swappiness"]' },
  { title: 'kernel.hostname', spec: ofSysctl('kernel.hostname', [{ type: 'uts' }]), field: 'linux.sysctl["kernel.hostname"]' },
  { title: 'kernel.domainname without uts', spec: ofSysctl('kernel.domainname'), field: 'linux.sysctl["kernel.domainname"]' },
  { title: 'kernel.shmmax without ipc', spec: ofSysctl('kernel.shmmax'), field: 'linux.sysctl["kernel.shmmax"]' },
  { title: 'fs.mqueue without ipc', spec: ofSysctl('fs.mqueue.msg_max'), field: 'linux.sysctl["fs.mqueue.msg_max"]' },
  {
    title: 'a parameter that climbs',
    spec: ofSysctl('net.ipv4/../../kernel/core_pattern'),
    field: 'linux.sysctl["net.ipv4/../../kernel/core_pattern"]',
  },
  { title: 'a parameter with an empty component', spec: ofSysctl('net..x'), field: 'linux.sysctl["net..x"]' },
  // Cgroup.
  { title: 'a cgroup that climbs', spec: ofLinux({ cgroupsPath: '/a/../../init' }), field: 'linux.cgroupsPath' },
  { title: 'a systemd-style cgroup that climbs', spec: ofLinux({ cgroupsPath: '..:..:x' }), field: 'linux.cgroupsPath' },
  { title: 'the root cgroup', spec: ofLinux({ cgroupsPath: '/' }), field: 'linux.cgroupsPath' },
  { title: 'a cgroup named like a control file', spec: ofLinux({ cgroupsPath: '/a/cgroup.procs' }), field: 'linux.cgroupsPath' },
  { title: 'a cgroup nested too deep', spec: ofLinux({ cgroupsPath: '/a'.repeat(17) }), field: 'linux.cgroupsPath' },
  { title: 'a cgroup with a long name', spec: ofLinux({ cgroupsPath: 'x'.repeat(256) }), field: 'linux.cgroupsPath' },
  // Mounts.
  { title: 'a mount over /proc/sys', spec: bind('/tmp', '/proc/sys'), field: 'mounts[1].destination' },
  { title: 'a mount over /proc/self/attr', spec: bind('/tmp', '/proc/self/attr'), field: 'mounts[1].destination' },
  { title: 'a bind mount over /proc', spec: bind('/tmp', '/proc'), field: 'mounts[1].destination' },
  { title: 'a tmpfs over /proc', spec: ofMount({ destination: '/proc/', type: 'tmpfs' }), field: 'mounts[1].destination' },
  { title: 'a mount over /proc in a roundabout way', spec: bind('/tmp', '//proc/./sys/'), field: 'mounts[1].destination' },
  { title: 'a mount over the root', spec: bind('/tmp', '/'), field: 'mounts[1].destination' },
  { title: 'a mount with no destination', spec: bind('/tmp', ''), field: 'mounts[1].destination' },
  { title: 'a destination that climbs', spec: bind('/tmp', '/a/../..'), field: 'mounts[1].destination' },
  { title: "the agent's state as a source", spec: bind('/run/berth/crun'), field: 'mounts[1].source' },
  { title: 'what holds the state as a source', spec: bind('/run'), field: 'mounts[1].source' },
  { title: "the guest's root as a source", spec: bind('/'), field: 'mounts[1].source' },
  { title: "another process's root as a source", spec: bind('/proc/1/root'), field: 'mounts[1].source' },
  { title: 'an open file of the runtime as a source', spec: bind('/proc/self/fd/3'), field: 'mounts[1].source' },
  { title: 'a relative source', spec: bind('x'), field: 'mounts[1].source' },
  { title: 'a source that climbs', spec: bind('/run/kata-containers/../berth'), field: 'mounts[1].source' },
  { title: 'a bind mount without a source', spec: bind(undefined), field: 'mounts[1].source' },
  { title: 'an odd file system type', spec: ofMount({ destination: '/x', type: 'a/b' }), field: 'mounts[1].type' },
  // Devices and paths.
  {
    title: 'a device outside /dev that climbs',
    spec: ofLinux({ devices: [{ path: '/dev/../x', type: 'c', major: 1, minor: 1, uid: 0, gid: 0 }] }),
    field: 'linux.devices[0].path',
  },
  {
    title: 'a device in /proc',
    spec: ofLinux({ devices: [{ path: '/proc/x', type: 'c', major: 1, minor: 1, uid: 0, gid: 0 }] }),
    field: 'linux.devices[0].path',
  },
  { title: 'a relative masked path', spec: ofLinux({ maskedPaths: ['/a', 'b'] }), field: 'linux.maskedPaths[1]' },
  { title: 'a read-only path that climbs', spec: ofLinux({ readonlyPaths: ['/a/../b'] }), field: 'linux.readonlyPaths[0]' },
  { title: 'an unknown propagation', spec: ofLinux({ rootfsPropagation: 'rprivat' }), field: 'linux.rootfsPropagation' },
  // Limits.
  {
    title: 'a swap limit without a memory limit',
    spec: ofLinux({ resources: { memory: { swap: 5n } } }),
    field: 'linux.resources.memory.swap',
  },
  {
    title: 'a swap limit below the memory limit',
    spec: ofLinux({ resources: { memory: { limit: 6n, swap: 5n } } }),
    field: 'linux.resources.memory.swap',
  },
  {
    title: 'a quota below the kernel’s',
    spec: ofLinux({ resources: { cpu: { quota: 999n } } }),
    field: 'linux.resources.cpu.quota',
  },
  {
    title: 'a period above the kernel’s',
    spec: ofLinux({ resources: { cpu: { period: 1_000_001n } } }),
    field: 'linux.resources.cpu.period',
  },
  { title: 'a malformed CPU list', spec: ofLinux({ resources: { cpu: { cpus: '0-' } } }), field: 'linux.resources.cpu.cpus' },
  { title: 'a malformed node list', spec: ofLinux({ resources: { cpu: { mems: 'a' } } }), field: 'linux.resources.cpu.mems' },
  {
    title: 'an I/O weight out of range',
    spec: ofLinux({ resources: { blockIO: { weight: 5 } } }),
    field: 'linux.resources.blockIO.weight',
  },
  {
    title: 'a page size that names another file',
    spec: ofLinux({ resources: { hugepageLimits: [{ pageSize: '2MB/../../x', limit: 1n }] } }),
    field: 'linux.resources.hugepageLimits[0].pageSize',
  },
  // Process.
  { title: 'no arguments', spec: ofProcess({ args: [] }), field: 'process.args' },
  { title: 'an empty program', spec: ofProcess({ args: [''] }), field: 'process.args' },
  { title: 'a relative working directory', spec: ofProcess({ cwd: 'x' }), field: 'process.cwd' },
  ...[3, 8, 64].map((fd) => ({
    title: `descriptor ${fd} of the runtime for a working directory`,
    spec: ofProcess({ cwd: `/proc/self/fd/${fd}` }),
    field: 'process.cwd',
  })),
  {
    title: 'a resource limit listed twice',
    spec: ofProcess({ rlimits: [limit(1n, 1n), limit(2n, 2n)] }),
    field: 'process.rlimits[1].type',
  },
  { title: 'a soft limit above the hard one', spec: ofProcess({ rlimits: [limit(2n, 1n)] }), field: 'process.rlimits[0].soft' },
];

function limit(soft: bigint, hard: bigint) {
  return { type: 'RLIMIT_NOFILE', soft, hard };
}

describe('a spec that crun must not be given', () => {
  for (const { title, spec, field } of REFUSED) {
    it(`has ${title}: refused, naming ${field}`, () => {
      assert.throws(
        () => prepare(spec),
        (error) =>
          hasCode(error, 'invalid_argument') && error.fields['field'] === field && error.message.startsWith(`${field}: `),
      );
    });
  }

  it('mounts over /proc in no spelling of it', () => {
    const part = fc.constantFrom('proc', '.', '', 'sys', 'self', 'kcore');
    fc.assert(
      fc.property(fc.array(part, { maxLength: 4 }), (parts) => {
        const destination = `/${['proc', ...parts].join('/')}`;
        assert.throws(
          () => prepare(bind('/tmp', destination)),
          (error) => hasCode(error, 'invalid_argument'),
        );
      }),
    );
  });
});
