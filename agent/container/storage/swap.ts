// Swap space that the host gives: a disk by its PCI path, or a file or device by its name.
import { type Native, native } from '../../../native/index.ts';
import { AgentError, fromErrno } from '../../errors.ts';
import { waitForPciDisk } from '../../guest/devices/block-device.ts';
import { parsePciPath } from '../../guest/devices/pci-path.ts';
import type { DeviceHost } from '../../guest/devices/wait-for-device.ts';
import { checkAbsolutePath } from '../spec/paths.ts';

type SwapDoor = Pick<Native, 'swapOn'>;

/** @param slots on each level, from the root bus on @throws invalid_argument, deadline_exceeded when no disk comes */
export async function addSwapDisk(slots: readonly number[], host: DeviceHost, door: SwapDoor = native()): Promise<void> {
  const text = slots.map((slot) => slot.toString(16).padStart(2, '0')).join('/');
  const path = parsePciPath(text, 'PCIPath');
  if (path === undefined) {
    throw new AgentError('invalid_argument', `PCIPath: \`${text}\` is no PCI path`, { fields: { field: 'PCIPath' } });
  }
  await swapOn(await waitForPciDisk(text, path, host, 'PCIPath'), door);
}

/** @param path absolute, of a file or device that mkswap(8) has prepared @throws invalid_argument, internal */
export async function addSwapPath(path: string, door: SwapDoor = native()): Promise<void> {
  await swapOn(checkAbsolutePath(path, 'path'), door);
}

async function swapOn(path: string, door: SwapDoor): Promise<void> {
  try {
    await door.swapOn(path, 0);
  } catch (error) {
    throw fromErrno(error, `swap on ${path}`, { path });
  }
}
