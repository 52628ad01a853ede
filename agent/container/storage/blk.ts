// Storages on a block device. `blk`: virtio behind PCI, by its PCI path or its node. `mmioblk`: virtio-mmio, by its node.
// `scsi`: by target and LUN. `nvdimm`: persistent memory, by its node.
import { checkDeviceNode, waitForNode, waitForPciDisk } from '../../guest/devices/block-device.ts';
import { parsePciPath } from '../../guest/devices/pci-path.ts';
import { MKFS_TIMEOUT_MS, mountDevice } from './mount-device.ts';
import type { StorageDriver, StorageHost } from './storage.ts';

const FIELD = 'storages[].source';

/** By the name of the driver: waits for the device of a storage and gives its node. */
export const DEVICE_FINDERS = {
  blk: async (source: string, host: StorageHost) => {
    const path = source.startsWith('/') ? undefined : parsePciPath(source, FIELD);
    return await (path === undefined
      ? waitForNode(checkDeviceNode(source, host, FIELD), host)
      : waitForPciDisk(source, path, host));
  },
  mmioblk: (source: string, host: StorageHost) => waitForNode(checkDeviceNode(source, host, FIELD), host),
  scsi: async (source: string, host: StorageHost) => {
    const { parseScsiAddress, waitForScsiDisk } = await import('../../guest/devices/scsi-disk.ts');
    return await waitForScsiDisk(parseScsiAddress(source, FIELD), host);
  },
  nvdimm: async (source: string, host: StorageHost) => {
    const { waitForPmem } = await import('../../guest/devices/pmem-device.ts');
    return await waitForPmem(source, host, FIELD);
  },
} as const;

export const blk = onDevice('blk');
export const mmioblk = onDevice('mmioblk');
export const scsi = onDevice('scsi');
export const nvdimm = onDevice('nvdimm');

function onDevice(name: keyof typeof DEVICE_FINDERS): StorageDriver {
  return {
    name,
    extraPatienceMs: ({ driverOptions }) => (driverOptions.includes('create_filesystem') ? MKFS_TIMEOUT_MS : 0),
    attach: async (storage, host) => await mountDevice(await DEVICE_FINDERS[name](storage.source, host), storage, host),
  };
}
