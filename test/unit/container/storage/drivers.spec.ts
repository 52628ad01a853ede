import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { blk, mmioblk } from '../../../../agent/container/storage/blk.ts';
import { ephemeral } from '../../../../agent/container/storage/ephemeral.ts';
import { applyFsGroup } from '../../../../agent/container/storage/fs-group.ts';
import { local } from '../../../../agent/container/storage/local.ts';
import { overlayfs } from '../../../../agent/container/storage/overlayfs.ts';
import type { Storage, StorageDriver, StorageHost } from '../../../../agent/container/storage/storage.ts';
import { STORAGE_DRIVERS } from '../../../../agent/container/storage/storage-table.ts';
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
      'local',
      'mmioblk',
      'nvdimm',
      'overlayfs',
      'scsi',
      'virtio-fs',
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
    it('puts layers over each other as they were listed', async () => {
      await attach(overlayfs, { options: ['lowerdir=/l1:/l2', 'ro'] });
      assert.deepEqual(door.calls, [`mount overlay ${root}/m overlay ${MS.RDONLY} lowerdir=/l1:/l2`]);
    });

    it("makes a writable layer of the container's own when asked", async () => {
      await attach(overlayfs, { options: ['lowerdir=/l1'], driverOptions: ['io.katacontainers.fs-opt.overlay-rw'] }, 'c1');
      const bundle = join(root, 'bundles/c1');
      assert.deepEqual(door.calls, [
        `mount overlay ${root}/m overlay 0 lowerdir=/l1,upperdir=${bundle}/upper,workdir=${bundle}/work`,
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
        options: ['lowerdir=/l'],
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

    it('is no other file system yet', async () => {
      await assert.rejects(attach(ephemeral, { fstype: 'hugetlbfs' }), (error) => hasCode(error, 'unimplemented'));
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

  describe('group ownership of a volume', () => {
    const gid = process.getgid?.() ?? 0;
    const mode = async (name: string) => (await stat(join(root, 'v', name))).mode & 0o7777;

    beforeEach(async () => {
      await mkdir(join(root, 'v/d'), { recursive: true });
      await writeFile(join(root, 'v/d/f'), '', { mode: 0o600 });
      await writeFile(join(root, 'outside'), '', { mode: 0o600 });
      await chmod(join(root, 'v/d'), 0o700);
      await symlink('../outside', join(root, 'v/link'));
    });

    it('opens files and directories to the group, and follows no link', async () => {
      await applyFsGroup(join(root, 'v'), { gid, policy: 'always' }, false);
      assert.equal(await mode('d'), 0o2770);
      assert.equal(await mode('d/f'), 0o660);
      assert.equal((await stat(join(root, 'outside'))).mode & 0o777, 0o600);
    });

    it('gives no write permission on a read-only volume', async () => {
      await applyFsGroup(join(root, 'v'), { gid, policy: 'always' }, true);
      assert.equal(await mode('d/f'), 0o640);
    });

    it('leaves a volume alone whose root is right, if that is the policy', async () => {
      await chmod(join(root, 'v'), 0o2775);
      await applyFsGroup(join(root, 'v'), { gid, policy: 'on_root_mismatch' }, false);
      assert.equal(await mode('d/f'), 0o600);
      await chmod(join(root, 'v'), 0o755);
      await applyFsGroup(join(root, 'v'), { gid, policy: 'on_root_mismatch' }, false);
      assert.equal(await mode('d/f'), 0o660);
    });
  });
});
