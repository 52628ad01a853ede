// Every storage driver with a real kernel under it: mounted, used from inside a container, removed, and nothing left.
import assert from 'node:assert/strict';
import { copyFile, mkdir, mkdtemp, open, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { grpc } from '#proto/kata.js';
import { hasCode } from '../../agent/errors.ts';
import type { AgentClient } from '../../client/kata/agent-client.ts';
import { ConfigMap } from '../support/config-map.ts';
import { BOOT_TIMEOUT_MS, bootTestGuest, IMAGES, type TestGuest } from '../support/guest.ts';
import { guestResources, runInGuest } from '../support/guest-resources.ts';
import { bundleOf, type PodContainer, type PodContainerOptions, startPodContainer } from '../support/pod-container.ts';

const SHARE = '/run/kata-containers/shared/containers';
const VIRTIO_FS: grpc.IStorage = {
  driver: 'virtio-fs',
  source: 'kataShared',
  fstype: 'virtiofs',
  options: ['nodev'],
  mountPoint: SHARE,
};
const MULTI = 'X-kata.multi-layer=true';
const MIB = 1024 * 1024;
/** The agent looks every 2 s; what comes on top is the way in and out of an emulated guest. */
const SEEN_WITHIN_MS = 8_000;

describe('storages on a booted guest', function () {
  this.timeout(BOOT_TIMEOUT_MS);
  let folder: string;
  let share: string;
  let guest: TestGuest;
  let client: AgentClient;
  const running: PodContainer[] = [];

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'berth-storages-'));
    share = join(folder, 'share');
    await mkdir(share);
    await copyFile(join(IMAGES, 'busybox.erofs'), join(share, 'layer.erofs'));
    const blank = await open(join(folder, 'blank.img'), 'w');
    await blank.truncate(64 * MIB);
    await blank.close();
    guest = await bootTestGuest({
      disks: [
        { path: join(IMAGES, 'busybox.erofs'), readonly: true },
        { path: join(IMAGES, 'debian.erofs'), readonly: true },
        { path: join(folder, 'blank.img') },
      ],
      shares: [{ dir: share, tag: 'kataShared' }],
    });
    client = await guest.connect('ttrpc');
    await client.kata.createSandbox({ sandboxId: 'storages', hostname: 'pod', storages: [VIRTIO_FS] });
    // What is loaded and made once: crun's empty directory, the tools.
    const disk = {
      driver: 'blk',
      source: '/dev/vdd',
      fstype: 'ext4',
      driverOptions: ['create_filesystem'],
      mountPoint: '/run/first',
    };
    await (await startPodContainer(client, 'first', { storages: [disk] })).remove();
  });
  after(async () => {
    await client?.close();
    await guest?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  });
  afterEach(async () => {
    for (const container of running.splice(0).reverse()) await container.remove();
  });

  async function start(id: string, options: PodContainerOptions = {}): Promise<PodContainer> {
    const container = await startPodContainer(client, id, options);
    running.push(container);
    return container;
  }
  async function remove(): Promise<void> {
    await running.pop()!.remove();
  }
  const inGuest = async (script: string) => (await runInGuest(client, ['sh', '-c', script])).trim();

  /** Nothing of what `work` made, and removed, is left in the guest. */
  async function leavesNothing(work: () => Promise<void>): Promise<void> {
    await guestResources(guest);
    const files = () => inGuest("find /run -xdev | sed 's/probe-[0-9-]*/probe/' | sort");
    const [before, filesBefore] = [await guestResources(guest), await files()];
    await work();
    for (const container of running.splice(0).reverse()) await container.remove();
    assert.equal(await files(), filesBefore);
    assert.deepEqual(await guestResources(guest), before);
  }

  it('virtio-fs: shares a directory of the host with several containers, who see each other', async () => {
    await writeFile(join(share, 'from-host'), 'hello');
    await leavesNothing(async () => {
      const one = await start('vfs-one', { storages: [VIRTIO_FS], binds: { '/share': SHARE } });
      const two = await start('vfs-two', { storages: [VIRTIO_FS], binds: { '/share': SHARE } });
      assert.equal(await one.shell('cat /share/from-host; echo there > /share/from-guest'), 'hello');
      assert.equal(await two.shell('cat /share/from-guest'), 'there');
      await remove();
      assert.equal(await one.shell('cat /share/from-guest'), 'there');
    });
    // The sandbox holds it still.
    assert.equal(await inGuest(`cat ${SHARE}/from-host`), 'hello');
  });

  it('virtio-fs: binds a file and a directory of the share, and what a link leads to never', async () => {
    await mkdir(join(share, 'volume'), { recursive: true });
    await writeFile(join(share, 'volume/x'), 'in volume');
    await symlink('/etc', join(share, 'planted'));
    const bind = (source: string, mountPoint: string): grpc.IStorage => ({
      driver: 'virtio-fs',
      source: `${SHARE}/${source}`,
      fstype: 'bind',
      options: ['rbind', 'ro'],
      mountPoint,
    });
    await leavesNothing(async () => {
      const container = await start('vfs-bind', {
        storages: [bind('from-host', '/run/bound/file'), bind('volume', '/run/bound/directory')],
        binds: { '/file': '/run/bound/file', '/directory': '/run/bound/directory' },
      });
      assert.equal(
        await container.shell('cat /file /directory/x; touch /directory/y 2>/dev/null || echo ro'),
        'helloin volumero',
      );
      await assert.rejects(start('vfs-link', { storages: [bind('planted', '/run/bound/link')] }), (error) =>
        hasCode(error, 'invalid_argument'),
      );
    });
  });

  it('watchable-bind: shows a config map as the kubelet changes it, within the polling interval', async () => {
    const config = new ConfigMap(join(share, 'config'));
    await config.write({ key: 'one' });
    await mkdir(join(share, 'watchable'), { recursive: true });
    const mountPoint = `${SHARE}/watchable/config`;
    await leavesNothing(async () => {
      const container = await start('watch', {
        storages: [
          {
            driver: 'watchable-bind',
            source: `${SHARE}/config`,
            fstype: 'bind',
            options: ['rbind', 'rprivate', 'ro'],
            mountPoint,
          },
        ],
        binds: { '/config': mountPoint },
      });
      assert.equal(await container.shell('cat /config/key; stat -L -c %a /config/key'), 'one640');
      await config.write({ key: 'two' });
      const changed = performance.now();
      while ((await container.shell('cat /config/key')) !== 'two') {
        assert.ok(performance.now() - changed < SEEN_WITHIN_MS, 'not seen in time');
      }
      console.log(`      seen in the container after ${Math.round(performance.now() - changed)} ms`);
      const kinds = await container.shell('ls -A /config; readlink /config/..data');
      assert.match(kinds, /^\.\.2026_1\n\.\.data\nkey\n\.\.2026_1$/);
      // Too much to copy: the next container has the directory itself.
      await writeFile(join(config.directory, 'large'), Buffer.alloc(MIB + 1));
      const big = `${SHARE}/watchable/big`;
      const storage = {
        driver: 'watchable-bind',
        source: `${SHARE}/config`,
        fstype: 'bind',
        options: ['rbind'],
        mountPoint: big,
      };
      const other = await start('watch-big', { storages: [storage], binds: { '/config': big } });
      assert.equal(await other.shell('wc -c < /config/large; grep -c "/config virtiofs" /proc/mounts'), `${MIB + 1}\n1`);
    });
  });

  it('ephemeral: is memory with the size, mode and group asked for, and takes a new size while in use', async () => {
    const mountPoint = '/run/kata-containers/sandbox/ephemeral/cache';
    const storage = (options: string[]): grpc.IStorage => ({
      driver: 'ephemeral',
      source: 'tmpfs',
      fstype: 'tmpfs',
      options,
      mountPoint,
    });
    await leavesNothing(async () => {
      const options = {
        storages: [storage(['size=1048576', 'mode=0770', 'fsgid=4321', 'nosuid'])],
        binds: { '/cache': mountPoint },
      };
      const one = await start('memory-one', options);
      const two = await start('memory-two', options);
      assert.equal(await one.shell('df -k /cache | tail -1 | awk "{print \\$2}"; stat -c %a:%g /cache'), '1024\n2775:4321');
      await one.shell('touch /cache/x');
      assert.equal(await two.shell('stat -c %g /cache/x'), '4321');
      await client.kata.updateEphemeralMounts({ storages: [storage(['remount', 'size=4194304'])] });
      assert.equal(
        await two.shell('df -k /cache | tail -1 | awk "{print \\$2}"; grep -c "/cache tmpfs .*nosuid" /proc/mounts'),
        '4096\n1',
      );
      await remove();
      assert.equal(await one.shell('ls /cache'), 'x');
    });
    assert.equal(await inGuest(`grep -c ${mountPoint} /proc/1/mountinfo || true`), '0');
  });

  it('ephemeral: is huge pages, taken from the guest and given back', async () => {
    const counter = '/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages';
    const pages = (size: number): grpc.IStorage => ({
      driver: 'ephemeral',
      source: 'nodev',
      fstype: 'hugetlbfs',
      options: ['pagesize=2097152', `size=${size}`],
      mountPoint: '/run/kata-containers/sandbox/hugepages',
    });
    await leavesNothing(async () => {
      const mounted = { '/huge': '/run/kata-containers/sandbox/hugepages' };
      const container = await start('huge', { storages: [pages(8 * MIB)], binds: mounted });
      assert.equal(await inGuest(`cat ${counter}`), '4');
      assert.match(await container.shell('grep /huge /proc/mounts'), /hugetlbfs .*pagesize=2M,size=8388608/);
      assert.equal(await container.shell('truncate -s 2097152 /huge/x; stat -c %s /huge/x'), '2097152');
      await remove();
      assert.equal(await inGuest(`cat ${counter}`), '0');
      await assert.rejects(
        start('too-huge', { storages: [pages(1024 * MIB)], binds: mounted }),
        (error) => hasCode(error, 'internal') || hasCode(error, 'resource_exhausted'),
      );
      assert.equal(await inGuest(`cat ${counter}`), '0');
    });
  });

  it('local: is a directory with the mode and the group asked for, which outlives its containers', async () => {
    const mountPoint = '/run/kata-containers/shared/local/scratch';
    const options = {
      storages: [{ driver: 'local', source: 'local', options: ['mode=0777', 'fsgid=77'], mountPoint }],
      binds: { '/scratch': mountPoint },
    };
    const first = await start('local-one', options);
    assert.equal(await first.shell('stat -c %a:%g /scratch; echo kept > /scratch/x'), '2777:77');
    await remove();
    const second = await start('local-two', options);
    assert.equal(await second.shell('cat /scratch/x'), 'kept');
  });

  it('a block device: is given a file system, and its content to the group as the policy says, links left alone', async () => {
    const storage = (policy: number, driverOptions: string[] = []): grpc.IStorage => ({
      driver: 'blk',
      source: '/dev/vdd',
      fstype: 'ext4',
      driverOptions,
      mountPoint: '/run/kata-containers/sandbox/storage/data',
      fsGroup: { groupId: 1234, groupChangePolicy: policy },
    });
    const binds = { '/data': '/run/kata-containers/sandbox/storage/data' };
    await leavesNothing(async () => {
      const first = await start('disk-one', { storages: [storage(0, ['create_filesystem'])], binds });
      assert.equal(await first.shell('stat -c %a:%g /data'), '2775:1234');
      await first.shell(
        'mkdir /data/d; echo x > /data/d/f; chmod 600 /data/d/f; chgrp 0 /data/d/f; ln -s /etc/passwd /data/link',
      );
      await remove();
      const second = await start('disk-two', { storages: [storage(1)], binds });
      assert.equal(await second.shell('stat -c %a:%g /data/d/f'), '600:0');
      await remove();
      const passwd = await inGuest('stat -c %a:%g:%Z /etc/passwd');
      const third = await start('disk-three', { storages: [storage(0)], binds });
      assert.equal(await third.shell('stat -c %a:%g /data/d/f; stat -c %g /data/link'), '660:1234\n1234');
      assert.equal(await inGuest('stat -c %a:%g:%Z /etc/passwd'), passwd);
    });
  });

  it('multi-layer EROFS: is a root of disks, a file on a loop device among them, taken apart in order', async () => {
    const id = 'layered';
    const mountPoint = `${bundleOf(id)}/rootfs`;
    const root: grpc.IStorage[] = [
      {
        driver: 'mmioblk',
        source: '/dev/vdd',
        fstype: 'ext4',
        options: [
          'rw',
          'X-kata.overlay-upper',
          MULTI,
          'X-kata.mkfs=true',
          'X-kata.mkfs.fs=ext4',
          'X-kata.mkdir.path={{ mount 0 }}/upper/made:1777',
        ],
        mountPoint,
      },
      {
        driver: 'erofs.multi-layer',
        source: `${SHARE}/layer.erofs`,
        fstype: 'erofs',
        options: ['ro', 'loop', 'X-kata.overlay-lower', MULTI],
        mountPoint,
      },
      { driver: 'blk', source: '/dev/vdc', fstype: 'erofs', options: ['ro', 'X-kata.overlay-lower', MULTI], mountPoint },
    ];
    await leavesNothing(async () => {
      const container = await start(id, { root });
      assert.match(await container.shell('head -1 /proc/mounts'), /^overlay \/ overlay rw/);
      // busybox's from the loop device, Debian's from the disk, and one made in the upper layer.
      assert.equal(
        await container.shell(
          'test -x /bin/busybox && cat /etc/debian_version | head -c 2; stat -c %a /made; echo w > /w && cat /w',
        ),
        '131777\nw',
      );
      assert.equal(
        await inGuest(
          `grep -c "${bundleOf(id)}/multi-layer" /proc/1/mountinfo; losetup -n -O BACK-FILE -a | grep -c layer.erofs`,
        ),
        '3\n1',
      );
    });
    assert.equal(await inGuest('losetup -n -a | grep -c layer.erofs || true'), '0');
    const verity = root.map((layer) => ({ ...layer, options: [...layer.options!, 'X-kata.dmverity-enabled=true'] }));
    await assert.rejects(
      start(id, { root: verity }),
      (error) => hasCode(error, 'unimplemented') && /dmverity/.test(error.message),
    );
    await assert.rejects(start(id, { root: root.slice(1) }), (error) => hasCode(error, 'invalid_argument'));
    assert.equal(await inGuest(`grep -c "${id}" /proc/1/mountinfo || true`), '0');
  });

  it('shared mounts: gives a container what another has mounted, by the name it has in the pod', async () => {
    await leavesNothing(async () => {
      const maker = await start('maker', { annotations: { 'io.kubernetes.cri.container-name': 'fuse' }, capAdd: ['SYS_ADMIN'] });
      const sharedMount = { name: 'volume', srcCtr: 'fuse', srcPath: '/mnt/data', dstCtr: 'user', dstPath: '/data/volume' };
      // The mount comes while the second container is being made.
      const making = start('user', { sharedMounts: [sharedMount] });
      await maker.shell('mkdir -p /mnt/data && mount -t tmpfs tmpfs /mnt/data && echo shared > /mnt/data/x');
      const user = await making;
      assert.equal(await user.shell('cat /data/volume/x; echo back > /data/volume/y'), 'shared');
      assert.equal(await maker.shell('cat /mnt/data/y'), 'back');
      await assert.rejects(
        start('nobody', { sharedMounts: [{ ...sharedMount, srcCtr: 'none' }] }),
        (error) => hasCode(error, 'internal') || hasCode(error, 'not_found'),
      );
      await assert.rejects(
        start('waits', { sharedMounts: [{ ...sharedMount, srcPath: '/mnt/never' }] }),
        (error) => hasCode(error, 'deadline_exceeded') && /nothing is mounted on \/mnt\/never/.test(error.message),
      );
    });
  });
});
