import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { blk, mmioblk } from '../../../../agent/container/storage/blk.ts';
import { ephemeral } from '../../../../agent/container/storage/ephemeral.ts';
import { local } from '../../../../agent/container/storage/local.ts';
import { splitLayers } from '../../../../agent/container/storage/overlay.ts';
import { overlayfs } from '../../../../agent/container/storage/overlayfs.ts';
import type { Storage, StorageDriver, StorageHost } from '../../../../agent/container/storage/storage.ts';
import { STORAGE_DRIVERS } from '../../../../agent/container/storage/storage-drivers.ts';
import { virtioFs } from '../../../../agent/container/storage/virtio-fs.ts';
import { hasCode } from '../../../../agent/errors.ts';
import { MS } from '../../../../native/index.ts';
import { fakeKernel } from '../../../support/fake-kernel.ts';
import { type RecordingDoor, recordingDoor } from './recording-door.ts';

describe('storage drivers', () => {
  let root: string;
  let door: RecordingDoor;
  let host: StorageHost;

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'berth-storage-'));
    door = recordingDoor();
    host = {
      door,
      uevents: fakeKernel().uevents,
      hotplugTimeoutMs: 60,
      bundleDir: join(root, 'bundles'),
      sysDir: join(root, 'sys'),
      devDir: join(root, 'dev'),
    };
  });
  afterEach(() => rm(root, { recursive: true }));

  const attach = (driver: StorageDriver, changes: Partial<Storage>, containerId?: string) =>
    driver.attach(
      {
        driver: driver.name,
        driverOptions: [],
        source: '',
        fstype: '',
        options: [],
        mountPoint: join(root, 'm'),
        shared: false,
        ...changes,
      },
      host,
      containerId,
    );
  const refused = (field: string) => (error: unknown) => hasCode(error, 'invalid_argument') && error.fields['field'] === field;

  it('are found by the names that hosts use', () => {
    assert.deepEqual(STORAGE_DRIVERS.map(({ name }) => name).sort(), [
      'blk',
      'ephemeral',
      'erofs.multi-layer',
      'local',
      'mmioblk',
      'nvdimm',
      'overlayfs',
      'scsi',
      'virtio-fs',
      'watchable-bind',
    ]);
  });

  describe('blk', () => {
    it('refuses what is neither a PCI path nor a device, before it waits for anything', async () => {
      for (const source of ['', 'vda', '../vda', '/etc/passwd', `${root}/dev/../x`, `${root}/dev/`, `${root}/dev`]) {
        await assert.rejects(attach(blk, { source, fstype: 'ext4' }), refused('source'), source);
        await assert.rejects(attach(mmioblk, { source, fstype: 'ext4' }), refused('source'), source);
      }
      assert.deepEqual(door.calls, []);
    });

    it('gives up on a device that does not come, after the hot-plug time', async () => {
      await assert.rejects(
        attach(blk, { source: '02/03', fstype: 'ext4' }),
        (error) =>
          hasCode(error, 'deadline_exceeded') &&
          error.message === 'Timeout after 0.06s waiting for block device at PCI path 02/03',
      );
      await assert.rejects(attach(mmioblk, { source: `${root}/dev/vdz`, fstype: 'ext4' }), (error) =>
        hasCode(error, 'deadline_exceeded'),
      );
    });

    it('refuses a node that is no block device', async () => {
      await mkdir(join(root, 'dev'));
      await writeFile(join(root, 'dev/vda'), '');
      await assert.rejects(attach(blk, { source: `${root}/dev/vda`, fstype: 'ext4' }), refused('source'));
      assert.deepEqual(door.calls, []);
    });
  });

  describe('virtio-fs', () => {
    it('mounts the tag and unmounts it', async () => {
      const detach = await attach(virtioFs, { source: 'kataShared', fstype: 'virtiofs', options: ['nodev'] });
      assert.deepEqual(door.calls, [`mount kataShared ${root}/m virtiofs ${MS.NODEV}`]);
      await detach();
      assert.equal(door.calls.at(-1), `umount ${root}/m`);
    });
  });

  describe('overlayfs', () => {
    let l1: string;
    let l2: string;

    beforeEach(async () => {
      [l1, l2] = [join(root, 'l1'), join(root, 'l2')];
      for (const layer of [l1, l2]) await mkdir(layer);
    });

    it('puts layers over each other as they were listed', async () => {
      await attach(overlayfs, { options: [`lowerdir=${l1}:${l2}`, 'ro', 'index=off'] });
      assert.deepEqual(door.calls, [`mount overlay ${root}/m overlay ${MS.RDONLY} lowerdir=${l1}:${l2},index=off`]);
    });

    it('follows no link to a layer: a container may have planted it', async () => {
      await symlink('/etc', join(root, 'planted'));
      for (const layer of [`${root}/planted`, `${root}/planted/ssh`]) {
        await assert.rejects(attach(overlayfs, { options: [`lowerdir=${l1}:${layer}`] }), (error) =>
          hasCode(error, 'invalid_argument'),
        );
        const writable = [`lowerdir=${l1}`, `upperdir=${layer}`, `workdir=${l2}`];
        await assert.rejects(attach(overlayfs, { options: writable }), (error) => hasCode(error, 'invalid_argument'));
      }
      assert.deepEqual(door.calls, []);
    });

    it('takes a colon in the name of a layer when it is escaped, and no empty one', () => {
      assert.deepEqual(splitLayers('/a:/b\\:c'), ['/a', '/b:c']);
      for (const text of ['', '/a:', '/a::/b', Array(201).fill('/a').join(':')])
        assert.throws(() => splitLayers(text), refused('options'));
    });

    it('takes the upper layer that it is given, whole', async () => {
      await attach(overlayfs, { options: [`lowerdir=${l1},upperdir=${l2}`, `workdir=${root}`] });
      assert.deepEqual(door.calls, [`mount overlay ${root}/m overlay 0 lowerdir=${l1},upperdir=${l2},workdir=${root}`]);
      await assert.rejects(attach(overlayfs, { options: [`lowerdir=${l1}`, `upperdir=${l2}`] }), refused('options'));
    });

    it("makes a writable layer of the container's own when asked", async () => {
      await attach(overlayfs, { options: [`lowerdir=${l1}`], driverOptions: ['io.katacontainers.fs-opt.overlay-rw'] }, 'c1');
      const bundle = join(root, 'bundles/c1');
      assert.deepEqual(door.calls, [
        `mount overlay ${root}/m overlay 0 lowerdir=${l1},upperdir=${bundle}/upper,workdir=${bundle}/work`,
      ]);
      assert.ok((await stat(join(bundle, 'work'))).isDirectory());
    });

    it('needs a container for that, and lower layers always', async () => {
      const driverOptions = ['io.katacontainers.fs-opt.overlay-rw'];
      await assert.rejects(attach(overlayfs, { options: ['lowerdir=/l'], driverOptions }), refused('driver_options'));
      await assert.rejects(attach(overlayfs, { options: [] }), refused('options'));
    });

    it('makes directories it is told to make, below the bundles only', async () => {
      const create = (path: string) => ({
        options: [`lowerdir=${l1}`],
        driverOptions: [`io.katacontainers.volume.overlayfs.create_directory=${path}`],
      });
      await attach(overlayfs, create(join(root, 'bundles/c1/snap')));
      assert.ok((await stat(join(root, 'bundles/c1/snap'))).isDirectory());
      await assert.rejects(attach(overlayfs, create(join(root, 'elsewhere'))), refused('driver_options'));
      await assert.rejects(attach(overlayfs, create(join(root, 'bundles/../x'))), (error) => hasCode(error, 'invalid_argument'));
    });
  });

  describe('ephemeral', () => {
    it('is a tmpfs with the options asked for', async () => {
      const detach = await attach(ephemeral, {
        source: 'shm',
        fstype: 'tmpfs',
        options: ['noexec,nosuid', 'nodev', 'mode=1777', 'size=64m'],
      });
      assert.deepEqual(door.calls, [`mount shm ${root}/m tmpfs ${MS.NOEXEC | MS.NOSUID | MS.NODEV} mode=1777,size=64m`]);
      await detach();
      assert.equal(door.calls.at(-1), `umount ${root}/m`);
    });

    it('is unmounted again when its root cannot be given to the group', async () => {
      door.delay = async () => {
        if (door.calls.length === 1) await rm(join(root, 'm'), { recursive: true });
      };
      await assert.rejects(attach(ephemeral, { options: ['fsgid=5'] }));
      assert.deepEqual(door.calls, [`mount tmpfs ${root}/m tmpfs 0`, `umount ${root}/m`]);
    });

    it('refuses a group that is none', async () => {
      for (const text of ['x', '-1', '4294967295', '']) {
        await assert.rejects(attach(ephemeral, { options: [`fsgid=${text}`] }), refused('options'));
      }
    });

    it('is no other file system', async () => {
      await assert.rejects(attach(ephemeral, { fstype: 'ext4' }), refused('fstype'));
    });
  });

  describe('local', () => {
    it('is a directory with the mode asked for, whatever the umask, left behind', async () => {
      const detach = await attach(local, { options: ['mode=0777'] });
      assert.equal((await stat(join(root, 'm'))).mode & 0o7777, 0o777);
      await detach();
      await stat(join(root, 'm'));
      assert.deepEqual(door.calls, []);
    });

    it('refuses a mode that is none', async () => {
      for (const mode of ['9', '777777', '', 'rwx'])
        await assert.rejects(attach(local, { options: [`mode=${mode}`] }), refused('options'));
    });
  });
});
