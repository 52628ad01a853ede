// Network links that the host plugs in, found by where they sit on the PCI bus.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AgentError } from '../../errors.ts';
import { findPciDevice, listDirectory, type PciPath, parsePciPath } from '../storage/pci-path.ts';
import { waitForDevice } from '../storage/wait-for-device.ts';

export interface NetDeviceHost {
  readonly sysDir: string;
  readonly hotplugTimeoutMs: number;
}

/**
 * Name of the link at a PCI path (`02/03`), once it is there.
 * @throws invalid_argument for another form; deadline_exceeded
 */
export async function waitForNetDevice(text: string, { sysDir, hotplugTimeoutMs }: NetDeviceHost): Promise<string> {
  const path = parseDevicePath(text);
  const look = async () => {
    const device = await findPciDevice(path, sysDir);
    return device === undefined ? undefined : await findNetDevice(device);
  };
  // Without ACPI hot-plug nobody tells the kernel of a new device (kata-containers #13889).
  const rescan = () => writeFile(join(sysDir, 'bus/pci/rescan'), '1').catch(() => {});
  return await waitForDevice(`network device at PCI path ${text}`, hotplugTimeoutMs, look, rescan);
}

function parseDevicePath(text: string): PciPath {
  const refusal = (cause?: unknown) =>
    new AgentError('invalid_argument', `interface.devicePath: ${JSON.stringify(text.slice(0, 80))} is no PCI path`, {
      cause,
      fields: { field: 'interface.devicePath' },
    });
  let path: PciPath | undefined;
  try {
    path = parsePciPath(text);
  } catch (error) {
    throw refusal(error);
  }
  if (path === undefined) throw refusal();
  return path;
}

/** A virtio NIC's link hangs below its virtio device, any other's below the PCI device itself. */
async function findNetDevice(device: string): Promise<string | undefined> {
  for (const entry of await listDirectory(device)) {
    const name = entry === 'net' ? '' : /^virtio\d+$/.test(entry) ? `${entry}/` : undefined;
    const found = name === undefined ? undefined : (await listDirectory(join(device, name, 'net')))[0];
    if (found !== undefined) return found;
  }
  return undefined;
}
