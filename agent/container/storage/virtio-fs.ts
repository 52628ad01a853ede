// `virtio-fs`: a directory of the host, by its tag.
import { readMounts } from '../../guest/mount-table.ts';
import { parseMountOptions } from './mount-options.ts';
import { mountOn } from './mount-target.ts';
import { NOTHING_TO_DETACH, type StorageDriver } from './storage.ts';

export const virtioFs: StorageDriver = {
  name: 'virtio-fs',
  attach: async (storage, { door }) => {
    const options = parseMountOptions(storage.options);
    // Mounted at boot or by an earlier agent: it is used as it is, and is not ours to unmount.
    const mounted = (await readMounts()).some(({ target, fstype }) => target === storage.mountPoint && fstype === 'virtiofs');
    if (mounted) return NOTHING_TO_DETACH;
    return await mountOn(door, storage.mountPoint, { source: storage.source, fstype: storage.fstype || 'virtiofs' }, options);
  },
};
