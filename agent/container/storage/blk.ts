// Storages on a block device. `blk`: virtio behind PCI, by its PCI path or its node. `mmioblk`: virtio-mmio, by its node.
// `scsi`: by target and LUN. `nvdimm`: persistent memory, by its node.
import { checkDeviceNode, waitForNode, waitForPciDisk } from '../../guest/devices/block-device.ts';
import { parsePciPath } from '../../guest/devices/pci-path.ts';
import { waitForPmem } from '../../guest/devices/pmem-device.ts';
import { parseScsiAddress, waitForScsiDisk } from '../../guest/devices/scsi-disk.ts';
import { mountDevice } from './mount-device.ts';
import type { StorageDriver, StorageHost } from './storage.ts';

const FIELD = 'storages[].source';

export const blk = onDevice('blk', async (source, host) => {
  const path = source.startsWith('/') ? undefined : parsePciPath(source, FIELD);
  return await (path === undefined
    ? waitForNode(checkDeviceNode(source, host, FIELD), host)
    : waitForPciDisk(source, path, host));
});

export const mmioblk = onDevice('mmioblk', (source, host) => waitForNode(checkDeviceNode(source, host, FIELD), host));

export const scsi = onDevice('scsi', (source, host) => waitForScsiDisk(parseScsiAddress(source, FIELD), host));

export const nvdimm = onDevice('nvdimm', (source, host) => waitForPmem(source, host, FIELD));

/** @param find waits for the device and gives its node */
function onDevice(name: string, find: (source: string, host: StorageHost) => Promise<string>): StorageDriver {
  return {
    name,
    attach: async (storage, host) => await mountDevice(await find(storage.source, host), storage, host),
  };
}
