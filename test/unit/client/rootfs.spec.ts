import assert from 'node:assert/strict';
import { parseRootfs, prepareRoot } from '../../../client/rootfs.ts';

const disks = { busybox: '/dev/vdb', debian: '/dev/vdc' };

describe('the root of a container', () => {
  it('is a named disk, a device with its file system, or a shared directory', () => {
    assert.deepEqual(parseRootfs('debian', disks), { kind: 'disk', device: '/dev/vdc', fstype: 'erofs' });
    assert.deepEqual(parseRootfs('blk:/dev/vdd:ext4', disks), { kind: 'disk', device: '/dev/vdd', fstype: 'ext4' });
    assert.deepEqual(parseRootfs('share:/trees/a/', disks), { kind: 'share', directory: 'trees/a' });
    assert.deepEqual(parseRootfs('share:', disks), { kind: 'share', directory: '' });
  });

  it('names the disks there are when it knows none of that name', () => {
    assert.throws(() => parseRootfs('alpine', disks), /invalid root file system 'alpine': this VM has busybox, debian; or give/);
    assert.throws(() => parseRootfs('toString', {}), /this VM has no named disks/);
  });

  for (const text of [
    'share:../etc',
    'share:a/../../b',
    'blk:vdb',
    'blk:/etc/passwd',
    'blk:/dev/vdb:',
    'blk:/dev/vdb:ext4:x',
    'blk:/dev/../etc',
  ]) {
    it(`refuses ${text}`, () => assert.throws(() => parseRootfs(text, disks), { code: 'invalid_argument' }));
  }

  it('mounts a disk read-only below a writable overlay', () => {
    assert.deepEqual(prepareRoot('c1', { kind: 'disk', device: '/dev/vdb', fstype: 'erofs' }), {
      rootPath: '/run/kata-containers/c1/rootfs',
      storages: [
        { driver: 'blk', source: '/dev/vdb', fstype: 'erofs', options: ['ro'], mountPoint: '/run/kata-containers/c1/lower' },
        {
          driver: 'overlayfs',
          driverOptions: ['io.katacontainers.fs-opt.overlay-rw'],
          source: 'none',
          fstype: 'overlay',
          options: ['lowerdir=/run/kata-containers/c1/lower'],
          mountPoint: '/run/kata-containers/c1/rootfs',
        },
      ],
    });
  });

  it('mounts the share once for all containers, by the tag that Kata uses', () => {
    const [share, overlay] = prepareRoot('c1', { kind: 'share', directory: 'trees/a' }).storages;
    assert.deepEqual([share?.driver, share?.source, share?.shared], ['virtio-fs', 'kataShared', true]);
    assert.deepEqual(overlay?.options, ['lowerdir=/run/kata-containers/shared/containers/trees/a']);
  });
});
