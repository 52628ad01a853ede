// Network links that the host plugs in, found by where they sit on the PCI bus.
import { join } from 'node:path';
import { loadDriver } from './kernel-driver.ts';
import { findPciDevice, listDirectory, parsePciPath, rescanPci } from './pci-path.ts';
import { refuseDevice } from './refusal.ts';
import { type DeviceHost, waitForDevice } from './wait-for-device.ts';

/**
 * Name of the link at a PCI path (`02/03`), once it is there.
 * @throws invalid_argument for another form; deadline_exceeded
 */
export async function waitForNetDevice(text: string, host: DeviceHost): Promise<string> {
  const field = 'interface.devicePath';
  const path = parsePciPath(text, field);
  if (path === undefined) refuseDevice(field, text, 'is no PCI path');
  let asked = false;
  return await waitForDevice(
    {
      what: `network device at PCI path ${text}`,
      subsystems: ['net', 'virtio', 'pci'],
      look: async () => {
        const device = await findPciDevice(path, host.sysDir);
        if (device === undefined) return undefined;
        const name = await findNetDevice(device);
        if (name === undefined && !asked) await loadDriver(device);
        asked = true;
        return name;
      },
      onDelay: () => rescanPci(host.sysDir),
    },
    host,
  );
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
