// Disks offered as they are: `blk` by PCI path, `scsi` by target and LUN, `mmioblk` and `nvdimm` by their node in the guest.
import { checkDeviceNode, waitForNode, waitForPciDisk } from '../../guest/devices/block-device.ts';
import { parsePciPath } from '../../guest/devices/pci-path.ts';
import { waitForPmem } from '../../guest/devices/pmem-device.ts';
import { refuseDevice } from '../../guest/devices/refusal.ts';
import { parseScsiAddress, waitForScsiDisk } from '../../guest/devices/scsi-disk.ts';
import type { DeviceHost } from '../../guest/devices/wait-for-device.ts';
import type { DeviceKind, DeviceRequest } from './device.ts';
import { readNode } from './device-node.ts';

export const blk = disk(async ({ id }, host, field) => {
  const at = `${field}.id`;
  return await waitForPciDisk(id, parsePciPath(id, at) ?? refuseDevice(at, id, 'is no PCI path'), host, at);
});

export const scsi = disk(({ id }, host, field) => waitForScsiDisk(parseScsiAddress(id, `${field}.id`), host));

export const mmioblk = disk(({ vmPath }, host, field) => {
  const at = `${field}.vm_path`;
  return waitForNode(checkDeviceNode(vmPath, host, at), host, at);
});

export const nvdimm = disk(({ vmPath }, host, field) => waitForPmem(vmPath, host, `${field}.vm_path`));

/** @param wait gives the device's node once it is there */
function disk(wait: (request: DeviceRequest, host: DeviceHost, field: string) => Promise<string>): DeviceKind {
  return {
    find: async (request, host, field) => ({ node: await readNode(await wait(request, host, field)), pci: [] }),
  };
}
