import assert from 'node:assert/strict';
import fc from 'fast-check';
import { isWithin } from '../../../../agent/container/spec/paths.ts';
import { type PrepareContext, prepareExec, prepareSpec, prepareUpdate } from '../../../../agent/container/spec/prepare.ts';
import type { LinuxSpec, MountSpec, ProcessSpec, RuntimeSpec } from '../../../../agent/container/spec/types.ts';
import { hasCode } from '../../../../agent/errors.ts';

const CONTEXT: PrepareContext = {
  containerId: 'c1',
  bundleRootfs: '/run/kata-containers/c1/rootfs',
  sandbox: { ipcPath: '/run/sandbox-ns/ipc', utsPath: '/run/sandbox-ns/uts', pidPath: '/proc/77/ns/pid' },
  sandboxPidns: false,
  guestNetns: '/proc/9/ns/net',
};

interface Changes {
  process?: Partial<ProcessSpec>;
  linux?: Partial<LinuxSpec>;
  mounts?: MountSpec[];
  hostname?: string;
  hooks?: RuntimeSpec['hooks'];
  annotations?: Record<string, string>;
}

function specWith({ process, linux, mounts, ...others }: Changes = {}): RuntimeSpec {
  return {
    ociVersion: '1.0.2',
    process: { user: { uid: 0, gid: 0 }, args: ['sh'], env: [], cwd: '/', oomScoreAdj: 0, ...process },
    root: { path: '/host/path', readonly: true },
    mounts: mounts ?? [],
    linux: { namespaces: [], ...linux },
    ...others,
  };
}

const prepare = (changes?: Changes, context: Partial<PrepareContext> = {}) =>
  prepareSpec(specWith(changes), { ...CONTEXT, ...context });
const namespacesOf = (linux: Partial<LinuxSpec>, context?: Partial<PrepareContext>) =>
  prepare({ linux }, context).linux.namespaces;

/** The fields that were left out. */
function droppedBy(changes: Changes): string[] {
  const dropped: string[] = [];
  prepare(changes, { onDropped: (field) => dropped.push(field) });
  return dropped;
}

describe('the spec that crun is given', () => {
  it('has the bundle for its root, and keeps whether that is read-only', () => {
    assert.deepEqual(prepare().root, { path: CONTEXT.bundleRootfs, readonly: true });
  });

  it('leaves the spec it was made from as it was', () => {
    const spec = specWith({
      linux: { namespaces: [{ type: 'pid' }], devices: [], sysctl: { 'net.x': '1' } },
      mounts: [{ destination: 'a//b' }],
    });
    const before = structuredClone(spec);
    prepareSpec(spec, CONTEXT);
    assert.deepEqual(spec, before);
  });

  describe('as to namespaces', () => {
    it('always has its own mount, pid and cgroup ones', () => {
      assert.deepEqual(namespacesOf({}), [{ type: 'pid' }, { type: 'mount' }, { type: 'cgroup' }]);
    });

    it("joins the sandbox's ipc and uts ones only when they are listed, whatever path was given", () => {
      assert.deepEqual(namespacesOf({ namespaces: [{ type: 'uts' }, { type: 'ipc', path: '/host/x' }] }).slice(0, 2), [
        { type: 'uts', path: '/run/sandbox-ns/uts' },
        { type: 'ipc', path: '/run/sandbox-ns/ipc' },
      ]);
    });

    it('makes new ipc and uts ones where the sandbox has none, and never writes an empty path', () => {
      assert.deepEqual(namespacesOf({ namespaces: [{ type: 'uts' }, { type: 'ipc' }] }, { sandbox: {} }).slice(0, 2), [
        { type: 'uts' },
        { type: 'ipc' },
      ]);
    });

    it("joins the sandbox's pid one only when asked to, and has one of its own until there is one", () => {
      const pid = (context: Partial<PrepareContext>) => namespacesOf({}, context).find(({ type }) => type === 'pid');
      assert.deepEqual(pid({ sandboxPidns: true }), { type: 'pid', path: '/proc/77/ns/pid' });
      assert.deepEqual(pid({ sandboxPidns: false }), { type: 'pid' });
      assert.deepEqual(pid({ sandboxPidns: true, sandbox: {} }), { type: 'pid' });
    });

    it('lists a type once even if the client listed it twice', () => {
      const types = namespacesOf({ namespaces: [{ type: 'pid' }, { type: 'pid' }, { type: 'mount' }] }).map(({ type }) => type);
      assert.deepEqual(types, ['pid', 'mount', 'cgroup']);
    });

    it("lists the guest's network one for a net parameter, and not otherwise", () => {
      assert.deepEqual(namespacesOf({ sysctl: { 'net.core.somaxconn': '1' } }).at(-1), {
        type: 'network',
        path: '/proc/9/ns/net',
      });
      assert.ok(!namespacesOf({ sysctl: {} }).some(({ type }) => type === 'network'));
    });

    it('keeps a network one that was asked for, new or by path', () => {
      assert.deepEqual(namespacesOf({ namespaces: [{ type: 'network' }], sysctl: { 'net.x': '1' } })[0], { type: 'network' });
      assert.deepEqual(namespacesOf({ namespaces: [{ type: 'network', path: '/var/run/netns/a' }] })[0], {
        type: 'network',
        path: '/var/run/netns/a',
      });
    });
  });

  describe('as to the hostname', () => {
    const uts = { linux: { namespaces: [{ type: 'uts' as const }] }, hostname: 'h' };

    it("has none in the sandbox's uts namespace, whose name is the sandbox's", () => {
      assert.equal(prepare(uts).hostname, undefined);
    });

    it('keeps it in a uts namespace of its own', () => {
      assert.equal(prepare(uts, { sandbox: {} }).hostname, 'h');
    });
  });

  describe('as to the cgroup', () => {
    const cases: [path: string | undefined, result: string][] = [
      [undefined, '/workload/containers/c1'],
      ['', '/workload/containers/c1'],
      ['/kubepods/burstable/pod1/c1', '/workload/containers/kubepods/burstable/pod1/c1'],
      ['relative//x/./y/', '/workload/containers/relative/x/y'],
      ['kubepods-pod1.slice:cri-containerd:c1', '/workload/containers/kubepods-pod1.slice/cri-containerd/c1'],
      ['::', '/workload/containers/system.slice/kata_agent/c1'],
      [':pre:', '/workload/containers/system.slice/pre/c1'],
    ];
    for (const [path, result] of cases) {
      it(`turns ${JSON.stringify(path)} into ${result}`, () =>
        assert.equal(prepare({ linux: { cgroupsPath: path } }).linux.cgroupsPath, result));
    }

    it('never leaves its parent, whatever the path', () => {
      const component = fc.oneof(fc.constantFrom('..', '.', '', 'a', '...', '..a', ':', 'x:y:z'), fc.string({ maxLength: 8 }));
      fc.assert(
        fc.property(fc.array(component, { maxLength: 6 }), fc.constantFrom('/', ':'), (components, separator) => {
          let result: string | undefined;
          try {
            result = prepare({ linux: { cgroupsPath: components.join(separator) } }, { cgroupParent: '/p' }).linux.cgroupsPath;
          } catch (error) {
            assert.ok(hasCode(error, 'invalid_argument') && error.fields['field'] === 'linux.cgroupsPath');
            return;
          }
          assert.ok(
            result !== undefined && result !== '/p' && isWithin(result, '/p') && !result.split('/').includes('..'),
            result,
          );
        }),
      );
    });
  });

  describe('as to devices', () => {
    const disk = { path: '/dev/vdb', type: 'b' as const, major: 254, minor: 16, uid: 0, gid: 0 };
    const rules = (linux: Partial<LinuxSpec>) => prepare({ linux }).linux.resources?.devices;
    const denyAll = { allow: false, type: 'a', access: 'rwm' };

    it('denies everything when nothing was asked for', () => {
      assert.deepEqual(rules({}), [denyAll]);
    });

    it('allows a listed node that no rule speaks of, as hosts send no rules', () => {
      assert.deepEqual(rules({ devices: [disk] }), [denyAll, { allow: true, type: 'b', major: 254, minor: 16, access: 'rwm' }]);
    });

    it('leaves a listed node to the rules that speak of it', () => {
      const readOnly = { allow: true, type: 'b' as const, major: 254, minor: 16, access: 'r' };
      assert.deepEqual(rules({ devices: [disk], resources: { devices: [readOnly] } }), [denyAll, readOnly]);
    });

    it('takes a rule without a minor beside a node with minor 0 for that node, not for every disk', () => {
      const wide = { allow: true, type: 'b' as const, major: 254, access: 'rwm' };
      assert.deepEqual(rules({ devices: [{ ...disk, minor: 0 }], resources: { devices: [wide] } }), [
        denyAll,
        { ...wide, minor: 0 },
      ]);
      assert.deepEqual(rules({ devices: [{ ...disk, minor: 0, type: 'c' }], resources: { devices: [wide] } })?.[1], wide);
    });

    it('keeps the last of two nodes with the same path', () => {
      const { devices } = prepare({ linux: { devices: [disk, { ...disk, path: '/dev//vdb', minor: 32 }] } }).linux;
      assert.deepEqual(
        devices?.map(({ path, minor }) => [path, minor]),
        [['/dev/vdb', 32]],
      );
    });
  });

  describe('as to limits on cgroup v2', () => {
    const limits = (resources: LinuxSpec['resources']) => prepare({ linux: { resources } }).linux.resources;

    it('leaves out what crun refuses there, and says so', () => {
      const resources = {
        memory: { limit: 5n, kernel: 1n, kernelTCP: 1n, swappiness: 60n, disableOOMKiller: true },
        cpu: { shares: 512n, realtimePeriod: 1n, realtimeRuntime: 1n },
        blockIO: { leafWeight: 10 },
        network: { classID: 1 },
      };
      const prepared = limits(resources);
      assert.deepEqual(prepared?.memory, { limit: 5n, reservation: undefined, swap: undefined });
      assert.equal(prepared?.cpu?.shares, 512n);
      assert.equal(
        Object.keys(prepared?.cpu ?? {}).some((key) => key.startsWith('realtime')),
        false,
      );
      assert.equal(prepared?.network, undefined);
      assert.deepEqual(
        new Set(droppedBy({ linux: { resources } })),
        new Set([
          'linux.resources.network',
          'linux.resources.memory.kernel',
          'linux.resources.memory.kernelTCP',
          'linux.resources.memory.swappiness',
          'linux.resources.memory.disableOOMKiller',
          'linux.resources.cpu.realtimePeriod',
          'linux.resources.cpu.realtimeRuntime',
          'linux.resources.blockIO.leafWeight',
        ]),
      );
    });

    it('passes "no limit" on, with a period so that crun writes it', () => {
      const prepared = limits({ memory: { limit: -1n, swap: -1n }, cpu: { quota: -1n }, pids: { limit: -1n } });
      assert.equal(prepared?.memory?.limit, -1n);
      assert.equal(prepared?.memory?.swap, -1n);
      assert.equal(prepared?.cpu?.quota, -1n);
      assert.equal(prepared?.cpu?.period, 100_000n);
      assert.equal(prepared?.pids?.limit, -1n);
    });

    it('keeps shares within what the kernel knows, so that 32 bits are enough', () => {
      assert.equal(limits({ cpu: { shares: (1n << 32n) + 2n } })?.cpu?.shares, 262144n);
      assert.equal(limits({ cpu: { shares: 1n } })?.cpu?.shares, 2n);
    });

    it('leaves out throttles of zero', () => {
      const device = { major: 8, minor: 0 };
      const prepared = limits({
        blockIO: {
          throttleReadBpsDevice: [
            { ...device, rate: 0n },
            { ...device, rate: 7n },
          ],
          throttleWriteBpsDevice: [{ ...device, rate: 0n }],
        },
      });
      assert.deepEqual(prepared?.blockIO?.throttleReadBpsDevice, [{ ...device, rate: 7n }]);
      assert.equal(prepared?.blockIO?.throttleWriteBpsDevice, undefined);
    });

    it('of an update leave the device rules alone unless there are some', () => {
      assert.equal(prepareUpdate({ pids: { limit: 5n } }, specWith()).devices, undefined);
      assert.equal(prepareUpdate({ devices: [{ allow: true, access: 'rwm' }] }, specWith()).devices?.length, 2);
    });
  });

  it('has no annotation on which crun acts, and keeps the others', () => {
    const annotations = {
      'run.oci.handler': 'krun',
      'run.oci.keep_original_groups': '1',
      'org.criu.config': '/x',
      'module.wasm.image/variant': 'compat',
      'io.kubernetes.cri.container-type': 'sandbox',
      'io.kubernetes.cri.sandbox-id': 's',
      mine: 'x',
    };
    assert.deepEqual(prepare({ annotations }).annotations, { 'io.kubernetes.cri.sandbox-id': 's', mine: 'x' });
    assert.equal(prepare({ annotations: { 'run.oci.hooks.stdout': '/x' } }).annotations, undefined);
  });

  it('has no label of a security module that the guest does not run', () => {
    const changes = {
      process: { apparmorProfile: 'p', selinuxLabel: 'l' },
      linux: { mountLabel: 'm', intelRdt: { l3CacheSchema: 's' } },
    };
    const { process, linux } = prepare(changes);
    assert.deepEqual(
      [process.apparmorProfile, process.selinuxLabel, linux.mountLabel, linux.intelRdt],
      [undefined, undefined, undefined, undefined],
    );
    assert.deepEqual(droppedBy(changes), [
      'process.apparmorProfile',
      'process.selinuxLabel',
      'linux.mountLabel',
      'linux.intelRdt',
    ]);
  });

  it('keeps hooks inside the container; those outside only where they are allowed', () => {
    const inside = { startContainer: [{ path: '/h' }] };
    assert.deepEqual(prepare({ hooks: inside }).hooks, inside);
    const outside = { prestart: [{ path: '/h' }], poststop: [] };
    assert.deepEqual(prepare({ hooks: outside }, { allowGuestHooks: true }).hooks, { prestart: [{ path: '/h' }] });
  });

  it('makes mount destinations absolute and plain', () => {
    const mounts = [
      { destination: 'data//x/.' },
      { destination: '/proc', type: 'proc', source: 'proc' },
      { destination: '/proc/uptime', type: 'bind', source: '/lxcfs' },
    ];
    assert.deepEqual(
      prepare({ mounts }).mounts.map(({ destination }) => destination),
      ['/data/x', '/proc', '/proc/uptime'],
    );
  });

  it('starts a process in / when it names no directory, and never wider than a terminal can be', () => {
    const process = prepareExec({ ...specWith().process, cwd: '', consoleSize: { height: 70000, width: 80 } });
    assert.equal(process.cwd, '/');
    assert.deepEqual(process.consoleSize, { height: 65535, width: 80 });
  });
});
