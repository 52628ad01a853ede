import assert from 'node:assert/strict';
import { mountsBelow, parseMountInfo } from '../../../agent/guest/mount-table.ts';

const TEXT = `22 1 254:0 / / ro,relatime - erofs /dev/vda ro
30 22 0:25 / /run rw shared:5 - tmpfs tmpfs rw
31 30 0:26 / /run/c/rootfs rw shared:6 master:2 - overlay overlay rw
32 30 0:27 / /run/c/with\\040blank rw - virtiofs kataShared rw
33 30 0:28 / /run/c2 rw - tmpfs tmpfs rw
`;

describe('the mount table', () => {
  it('is read with and without optional fields, octal escapes undone', () => {
    const mounts = parseMountInfo(TEXT);
    assert.deepEqual(mounts[0], { target: '/', fstype: 'erofs', source: '/dev/vda', options: ['ro', 'relatime'] });
    assert.deepEqual(mounts[2], { target: '/run/c/rootfs', fstype: 'overlay', source: 'overlay', options: ['rw'] });
    assert.deepEqual(mounts[3], { target: '/run/c/with blank', fstype: 'virtiofs', source: 'kataShared', options: ['rw'] });
  });

  it('gives what lies below a directory newest first, and no neighbour whose name only begins the same', () => {
    assert.deepEqual(mountsBelow(parseMountInfo(TEXT), '/run/c'), ['/run/c/with blank', '/run/c/rootfs']);
  });
});
