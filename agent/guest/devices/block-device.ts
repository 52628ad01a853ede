// Disks that the host plugs in, found by where they sit: a PCI path, or the name of their node.
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno } from '../../errors.ts';
import { findBlockDevice, findPciDevice, type PciPath, rescanPci } from './pci-path.ts';
import { refuseDevice } from './refusal.ts';
import { type DeviceHost, waitForDevice } from './wait-for-device.ts';

/** Its node, once it is there. @throws deadline_exceeded */
export async function waitForPciDisk(
  source: string,
  path: PciPath,
  host: DeviceHost,
  field = 'storages[].source',
): Promise<string> {
  const name = await waitForDevice(
    {
      what: `block device at PCI path ${source}`,
      subsystems: ['block', 'virtio', 'pci'],
      look: async () => {
        const device = await findPciDevice(path, host.sysDir);
        return device === undefined ? undefined : await findBlockDevice(device);
      },
      onDelay: () => rescanPci(host.sysDir),
    },
    host,
  );
  return await waitForNode(join(host.devDir, name), host, field);
}

/** @throws invalid_argument unless it names a file directly below /dev, or in one of its directories */
export function checkDeviceNode(node: string, { devDir }: Pick<DeviceHost, 'devDir'>, field: string): string {
  const name = node.startsWith(`${devDir}/`) ? node.slice(devDir.length + 1) : '';
  if (name.split('/').some((part) => part === '' || part === '.' || part === '..') || name.includes('\0')) {
    refuseDevice(field, node, 'is neither a PCI path nor a device');
  }
  return node;
}

/** The node itself, once it is there and a block device. @throws deadline_exceeded, invalid_argument */
export async function waitForNode(node: string, host: DeviceHost, field = 'storages[].source'): Promise<string> {
  const look = async () => {
    try {
      if ((await stat(node)).isBlockDevice()) return node;
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return undefined;
      throw error;
    }
    return refuseDevice(field, node, 'is not a block device');
  };
  return await waitForDevice({ what: node, subsystems: ['block'], look }, host);
}
