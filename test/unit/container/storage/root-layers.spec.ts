import assert from 'node:assert/strict';
import { groupLayers } from '../../../../agent/container/storage/root-layers.ts';
import type { Storage } from '../../../../agent/container/storage/storage.ts';
import { hasCode } from '../../../../agent/errors.ts';

const ROOTFS = '/run/kata-containers/c/rootfs';
const MULTI = 'X-kata.multi-layer=true';

const storage = (source: string, options: string[], changes: Partial<Storage> = {}): Storage => ({
  driver: 'blk',
  driverOptions: [],
  source,
  fstype: 'erofs',
  options,
  mountPoint: ROOTFS,
  shared: false,
  ...changes,
});
const upper = storage('02', ['rw', 'X-kata.overlay-upper', MULTI], { fstype: 'ext4' });
const lower = (source: string) => storage(source, ['ro', 'X-kata.overlay-lower', MULTI]);
const other = storage('09', [], { mountPoint: '/m' });
const refused = (error: unknown) => hasCode(error, 'invalid_argument') && error.fields['field'] === 'options';

describe('a root of several layers', () => {
  it('is one storage made of those of the request that belong to it, in the place of the first', () => {
    const grouped = groupLayers([other, upper, lower('03'), lower('04'), { ...other, mountPoint: '/n' }]);
    assert.deepEqual(
      grouped.map(({ driver, source, mountPoint }) => [driver, source, mountPoint]),
      [
        ['blk', '09', '/m'],
        ['erofs.multi-layer', '02 03 04', ROOTFS],
        ['blk', '09', '/n'],
      ],
    );
    assert.deepEqual(
      grouped[1]!.layers!.map(({ source }) => source),
      ['02', '03', '04'],
    );
  });

  it('leaves other storages as they are', () => {
    assert.deepEqual(groupLayers([other]), [other]);
    assert.deepEqual(groupLayers([]), []);
  });

  it('tells its layers by their file systems where no option does', () => {
    const bare = [
      storage('02', [MULTI], { fstype: 'ext4' }),
      storage('03', [MULTI]),
      storage('04', [], { driver: 'erofs.multi-layer' }),
    ];
    assert.equal(groupLayers(bare).length, 1);
    const made = storage('02', [MULTI, 'X-kata.mkfs=true'], { fstype: 'mkfs/ext4' });
    assert.equal(groupLayers([made, lower('03')]).length, 1);
  });

  it('has one upper layer, and a lower one', () => {
    assert.throws(() => groupLayers([lower('03')]), refused);
    assert.throws(() => groupLayers([upper]), refused);
    assert.throws(() => groupLayers([upper, { ...upper, source: '05' }, lower('03')]), refused);
    assert.throws(() => groupLayers([upper, storage('03', [MULTI], { fstype: 'xfs' })]), refused);
    assert.throws(() => groupLayers([upper, ...Array.from({ length: 128 }, (_, at) => lower(String(at)))]), refused);
  });
});
