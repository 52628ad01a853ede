// A root made of several disks (kata-agent.md §5.5, `erofs.multi-layer`): EROFS layers below, an ext4 layer on top to write
// to. The storages of one request that say `X-kata.multi-layer=true` are put together as one, mounted where the upper one says.
import { isMade, MULTI_LAYER_DRIVER, sortLayers } from './root-layers.ts';
import type { StorageDriver } from './storage.ts';

/** For mkfs of the upper layer, within its own time limit. */
const MKFS_MS = 60_000;

export const multiLayerErofs: StorageDriver = {
  name: MULTI_LAYER_DRIVER,
  extraPatienceMs: ({ layers = [] }) => (layers.some(isMade) ? MKFS_MS : 0),
  attach: async (storage, host, containerId) => {
    const { attachLayers } = await import('./layered-root.ts');
    return await attachLayers(storage.mountPoint, sortLayers(storage.layers ?? []), host, containerId);
  },
};
