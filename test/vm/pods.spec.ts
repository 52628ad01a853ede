// What a Kata host asks for and a plain `berth run` does not: storages by PCI path, a pod's shared namespaces, its nested cgroups,
// device nodes, kernel parameters.
import assert from 'node:assert/strict';
import type { grpc } from '#proto/kata.js';
import { hasCode } from '../../agent/errors.ts';
import { defaultSpec } from '../../client/default-spec.ts';
import type { AgentClient } from '../../client/kata/agent-client.ts';
import { GuestProcess } from '../../client/kata/guest-process.ts';
import { sharedGuest, type TestGuest } from '../support/guest.ts';
import { runInGuest } from '../support/guest-resources.ts';

const OVERLAY_RW = 'io.katacontainers.fs-opt.overlay-rw';

describe('a pod on a booted guest', () => {
  let guest: TestGuest;
  let client: AgentClient;
  let disk: string;
  const made: string[] = [];

  before(async () => {
    guest = await sharedGuest();
    client = await guest.connect('ttrpc');
    // /sys/block/vdb leads to .../pci0000:00/0000:00:03.0/virtio1/block/vdb
    const link = await runInGuest(client, ['readlink', '/sys/block/vdb']);
    disk = [...link.matchAll(/[0-9a-f]{4}:[0-9a-f]{2}:([0-9a-f]{2})\.0(?=\/)/g)].map((match) => match[1]).join('/');
  });

  after(async () => {
    await client?.close();
  });

  afterEach(async () => {
    for (const containerId of made.splice(0).reverse()) await client.kata.removeContainer({ containerId });
  });

  interface Asked {
    linux?: grpc.Linux.$Properties;
    spec?: grpc.Spec.$Properties;
    storages?: grpc.Storage.$Properties[];
    sandboxPidns?: boolean;
  }

  const bundle = (id: string) => `/run/kata-containers/${id}`;
  const rootOf = (id: string, source: string): grpc.Storage.$Properties[] => [
    { driver: 'blk', source, fstype: 'erofs', options: ['ro'], mountPoint: `${bundle(id)}/lower` },
    {
      driver: 'overlayfs',
      source: 'none',
      fstype: 'overlay',
      options: [`lowerdir=${bundle(id)}/lower`],
      driverOptions: [OVERLAY_RW],
      mountPoint: `${bundle(id)}/rootfs`,
    },
  ];

  async function create(containerId: string, { linux, spec, storages, sandboxPidns }: Asked = {}): Promise<void> {
    const base = defaultSpec({ args: ['sleep', 'inf'], rootPath: `${bundle(containerId)}/rootfs` });
    await client.kata.createContainer({
      containerId,
      sandboxPidns,
      storages: storages ?? rootOf(containerId, disk),
      OCI: { ...base, ...spec, Linux: { ...base.Linux, ...linux } },
    });
    made.push(containerId);
    await client.kata.startContainer({ containerId });
  }

  let execs = 0;
  async function shell(containerId: string, script: string): Promise<string> {
    const execId = `e${execs++}`;
    await client.kata.execProcess({
      containerId,
      execId,
      process: { Args: ['sh', '-c', script], Cwd: '/', Env: ['PATH=/bin:/usr/bin'] },
    });
    const { stdout, stderr, exitCode } = await new GuestProcess(client.kata, { containerId, execId }, false).collect();
    assert.equal(exitCode, 0, `${script}: ${stderr}`);
    return stdout.toString().trim();
  }

  it('finds the disk of a root by its PCI path', async () => {
    assert.match(disk, /^[0-9a-f]{2}(\/[0-9a-f]{2})*$/);
    await create('by-pci');
    assert.match(await shell('by-pci', 'cat /bin/busybox | wc -c'), /^\d{5,}$/);
  });

  it('says which device did not come, and leaves nothing behind', async () => {
    await assert.rejects(
      create('no-disk', { storages: rootOf('no-disk', '1f/1f') }),
      (error) =>
        hasCode(error, 'deadline_exceeded') && /Timeout after 3s waiting for block device at PCI path 1f\/1f/.test(error.message),
    );
    const left =
      'ls -d /run/kata-containers/no-disk; ls -d /sys/fs/cgroup/workload/containers/no-disk; grep no-disk /proc/1/mountinfo; true';
    assert.equal(await runInGuest(client, ['sh', '-c', `{ ${left}; } 2>/dev/null`]), '');
  });

  it('shares memory between containers through a tmpfs with the size asked for', async () => {
    const mountPoint = '/run/kata-containers/sandbox/shm';
    const shm = {
      driver: 'ephemeral',
      source: 'shm',
      fstype: 'tmpfs',
      options: ['noexec', 'nosuid', 'nodev', 'mode=1777', 'size=1048576'],
      mountPoint,
    };
    const mounts = (id: string) => ({
      storages: [...rootOf(id, disk), shm],
      spec: {
        Mounts: [
          { destination: '/proc', type: 'proc', source: 'proc' },
          { destination: '/shm', type: 'bind', source: mountPoint, options: ['rbind'] },
        ],
      },
    });
    await create('shm-one', mounts('shm-one'));
    await create('shm-two', mounts('shm-two'));
    await shell('shm-one', 'echo shared > /shm/x');
    assert.equal(await shell('shm-two', 'cat /shm/x; stat -c %a /shm'), 'shared\n1777');
    assert.equal(await shell('shm-two', 'head -c 2000000 /dev/zero > /shm/big 2>/dev/null; wc -c < /shm/big'), '1044480');
  });

  it('shares ipc and uts by default, and the pid namespace of the first container when asked', async () => {
    await create('pod-first', { sandboxPidns: true });
    await create('pod-second', { sandboxPidns: true });
    await create('pod-alone');
    const namespace = (id: string, kind: string) => shell(id, `readlink /proc/1/ns/${kind}`);
    assert.equal(await namespace('pod-first', 'pid'), await namespace('pod-second', 'pid'));
    assert.notEqual(await namespace('pod-first', 'pid'), await namespace('pod-alone', 'pid'));
    for (const kind of ['ipc', 'uts', 'net'])
      assert.equal(await namespace('pod-first', kind), await namespace('pod-alone', kind), kind);
    for (const kind of ['mnt', 'cgroup'])
      assert.notEqual(await namespace('pod-first', kind), await namespace('pod-alone', kind), kind);
  });

  it('puts its cgroups where it was told, below one parent, and takes them away with what led to them', async () => {
    const find = () => runInGuest(client, ['sh', '-c', 'find /sys/fs/cgroup -type d -name "*pod7*"']);
    await create('nested', { linux: { CgroupsPath: 'kubepods-pod7.slice:cri-containerd:nested' } });
    assert.match(await find(), /^\/sys\/fs\/cgroup\/workload\/containers\/kubepods-pod7\.slice\n$/);
    await client.kata.removeContainer({ containerId: made.pop()! });
    assert.equal(await find(), '');
  });

  it('sets kernel parameters of its namespaces, and of nothing else', async () => {
    await create('sysctl', { linux: { Sysctl: { 'kernel.shmmni': '1234', 'net.ipv4.ping_group_range': '0 7' } } });
    assert.equal(await shell('sysctl', 'cat /proc/sys/kernel/shmmni'), '1234');
    assert.match(await shell('sysctl', 'cat /proc/sys/net/ipv4/ping_group_range'), /^0\s+7$/);
    await assert.rejects(
      create('sysctl-bad', { linux: { Sysctl: { 'kernel.core_pattern': '|/x' } } }),
      (error) => hasCode(error, 'invalid_argument') && /kernel\.core_pattern/.test(error.message),
    );
  });

  it('opens the devices it lists and no others, whatever it makes with mknod', async () => {
    const [major, minor] = (await runInGuest(client, ['cat', '/sys/block/vdb/dev'])).trim().split(':');
    const node = { Path: '/dev/data', Type: 'b', Major: BigInt(major!), Minor: BigInt(minor!), FileMode: 0o600 };
    await create('devices', { linux: { Devices: [node] } });
    assert.equal(await shell('devices', 'head -c 4096 /dev/data | wc -c'), '4096');
    const other = `mknod /other b ${major} 0 && head -c 1 /other 2>&1 >/dev/null || true`;
    assert.match(await shell('devices', other), /not permitted/i);
  });

  it('refuses what would lead out of the pod', async () => {
    const refused = (field: RegExp) => (error: unknown) => hasCode(error, 'invalid_argument') && field.test(error.message);
    const bind = (source: string) => ({ spec: { Mounts: [{ destination: '/x', type: 'bind', source, options: ['rbind'] }] } });
    await assert.rejects(create('bad', bind('/run/berth')), refused(/^mounts\[0\]\.source/));
    await assert.rejects(create('bad', bind('/proc/1/root')), refused(/^mounts\[0\]\.source/));
    await assert.rejects(create('bad', { linux: { CgroupsPath: '/../init' } }), refused(/^linux\.cgroupsPath/));
    await assert.rejects(
      create('bad', { linux: { Namespaces: [{ Type: 'mount', Path: '/proc/1/ns/mnt' }] } }),
      refused(/^linux\.namespaces\[0\]\.path/),
    );
    await assert.rejects(create('bad', { spec: { Hooks: { Prestart: [{ Path: '/bin/sh' }] } } }), refused(/^hooks\.prestart/));
  });
});
