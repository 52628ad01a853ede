// PCI devices of the host passed through. `vfio-pci`: to the container, as a VFIO group. `vfio-pci-gk`: to the guest's own
// kernel driver; the container is told where its devices are. Options are `<host address>=<PCI path>`, one a device.
import { AgentError } from '../../errors.ts';
import { loadDriver } from '../../guest/devices/kernel-driver.ts';
import { findPciDevice, type PciPath, parsePciPath, rescanPci } from '../../guest/devices/pci-path.ts';
import { refuseDevice } from '../../guest/devices/refusal.ts';
import { bindToVfio, waitForVfioGroup } from '../../guest/devices/vfio.ts';
import { type DeviceHost, waitForDevice } from '../../guest/devices/wait-for-device.ts';
import type { DeviceKind, DeviceRequest, FoundDevice, PciTranslation } from './device.ts';
import { readNode } from './device-node.ts';

const HOST_ADDRESS = /^(?:([0-9a-f]{4}):)?([0-9a-f]{2}:[01][0-9a-f]\.[0-7])$/i;

type Undo = () => Promise<void>;

export const vfioPci: DeviceKind = {
  find: async (request, host, field) => {
    const functions = parseOptions(request, field);
    const steps: Undo[] = [];
    const undo = async () => {
      for (let step = steps.pop(); step !== undefined; step = steps.pop()) await step();
    };
    try {
      return { ...(await bindGroup(functions, host, field, steps)), undo };
    } catch (error) {
      await undo().catch(() => {});
      throw error;
    }
  },
};

export const vfioPciGuestKernel: DeviceKind = {
  find: async (request, host, field) => {
    const pci: PciTranslation[] = [];
    for (const wanted of parseOptions(request, field)) {
      const directory = await waitForPci(wanted, host);
      await loadDriver(directory);
      pci.push({ host: wanted.host, guest: addressOf(directory) });
    }
    return { pci };
  },
};

interface WantedFunction {
  readonly host: string;
  readonly text: string;
  readonly path: PciPath;
}

/** A container is given groups, so all functions of one device must be of one. */
async function bindGroup(
  functions: readonly WantedFunction[],
  host: DeviceHost,
  field: string,
  undo: Undo[],
): Promise<FoundDevice> {
  const pci: PciTranslation[] = [];
  let group: number | undefined;
  for (const wanted of functions) {
    const guest = addressOf(await waitForPci(wanted, host));
    const bound = await bindToVfio(guest, host.sysDir);
    undo.push(bound.undo);
    group ??= bound.group;
    if (bound.group !== group) refuseDevice(`${field}.options`, guest, `is not in guest IOMMU group ${group}`);
    pci.push({ host: wanted.host, guest });
  }
  const path = await waitForVfioGroup(group!, host);
  return { node: { ...(await readNode(path)), path }, pci };
}

/** @returns its directory in sysfs @throws deadline_exceeded */
function waitForPci({ text, path }: WantedFunction, host: DeviceHost): Promise<string> {
  return waitForDevice(
    {
      what: `PCI device at PCI path ${text}`,
      subsystems: ['pci'],
      look: () => findPciDevice(path, host.sysDir),
      onDelay: () => rescanPci(host.sysDir),
    },
    host,
  );
}

/** @throws invalid_argument when there is none, or one of another form */
function parseOptions({ options }: DeviceRequest, field: string): WantedFunction[] {
  const at = `${field}.options`;
  if (options.length === 0) throw new AgentError('invalid_argument', `${at}: no PCI device is named`, { fields: { field: at } });
  return options.map((option) => {
    const [address = '', text = '', ...more] = option.split('=');
    const [, domain = '0000', rest] = HOST_ADDRESS.exec(address) ?? [];
    const path = parsePciPath(text, at);
    if (rest === undefined || path === undefined || more.length > 0) {
      refuseDevice(at, option, 'is not of the form HOST-ADDRESS=PCI-PATH');
    }
    return { host: `${domain}:${rest}`.toLowerCase(), text, path };
  });
}

function addressOf(directory: string): string {
  return directory.slice(directory.lastIndexOf('/') + 1);
}
