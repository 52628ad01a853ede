// PCI devices of the guest handed to VFIO (Documentation/driver-api/vfio.rst). As with Kata a device stays with VFIO when its
// container has gone: whoever is given it next finds it so, and a driver that still has users can't be taken away.
import { readlink, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { AgentError, fromErrno, isErrno } from '../../errors.ts';
import { loadModules } from './kernel-driver.ts';
import { writeAttribute } from './sysfs.ts';
import { type DeviceHost, waitForDevice } from './wait-for-device.ts';

const DRIVER = 'vfio-pci';
const MODULES = ['vfio-pci', 'vfio_iommu_type1'];

export interface BoundDevice {
  /** Number of its IOMMU group. */
  readonly group: number;
  /** Back to the driver it had; nothing if it was VFIO's before. */
  undo(): Promise<void>;
}

/**
 * @param address in the guest: `0000:01:02.0`
 * @throws failed_precondition for a device without an IOMMU group, which the guest has no IOMMU for; nothing is changed then
 */
export async function bindToVfio(address: string, sysDir: string): Promise<BoundDevice> {
  const device = join(sysDir, 'bus/pci/devices', address);
  const group = await linkName(join(device, 'iommu_group'));
  if (group === undefined || !/^\d{1,9}$/.test(group)) {
    throw new AgentError('failed_precondition', `${address} has no IOMMU group`, { fields: { device: address } });
  }
  await loadModules(MODULES, sysDir);
  const changed = await override(device, DRIVER);
  return { group: Number(group), undo: async () => void (changed && (await override(device, ''))) };
}

/** Node of a group, once it is there. @throws deadline_exceeded */
export async function waitForVfioGroup(group: number, host: DeviceHost): Promise<string> {
  const node = join(host.devDir, 'vfio', String(group));
  const look = async () => {
    try {
      return (await stat(node)).isCharacterDevice() ? node : undefined;
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return undefined;
      throw error;
    }
  };
  return await waitForDevice({ what: node, subsystems: ['vfio', 'pci'], look }, host);
}

/** @param driver empty: whichever the kernel would choose @returns whether it had another */
async function override(device: string, driver: string): Promise<boolean> {
  const address = basename(device);
  try {
    // An empty line clears it; the kernel takes no empty write.
    await writeAttribute(join(device, 'driver_override'), `${driver}\n`);
    const current = await linkName(join(device, 'driver'));
    if (current === driver) return false;
    if (current !== undefined) await writeAttribute(join(device, 'driver/unbind'), address);
    await writeAttribute(join(device, '../../drivers_probe'), address);
    return true;
  } catch (error) {
    throw fromErrno(error, `give ${address} to ${driver || 'its own driver'}`, { device: address });
  }
}

async function linkName(path: string): Promise<string | undefined> {
  try {
    return basename(await readlink(path));
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}
