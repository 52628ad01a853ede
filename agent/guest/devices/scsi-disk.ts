// SCSI disks that the host plugs in, by target and LUN (`1:0`). As in Kata, every controller is told to look for them.
import { join } from 'node:path';
import { fromErrno, isErrno } from '../../errors.ts';
import { waitForNode } from './block-device.ts';
import { loadModules } from './kernel-driver.ts';
import { listDirectory } from './pci-path.ts';
import { refuseDevice } from './refusal.ts';
import { writeAttribute } from './sysfs.ts';
import { type DeviceHost, waitForDevice } from './wait-for-device.ts';

export interface ScsiAddress {
  readonly target: number;
  readonly lun: number;
}

/** virtio specification 5.6.6.1: a byte for the target, 14 bits for the LUN. */
const MAX_TARGET = 255;
const MAX_LUN = 16_383;
const MODULES = ['virtio_scsi', 'sd_mod'];

/** @throws invalid_argument unless it has the form `TARGET:LUN` */
export function parseScsiAddress(text: string, field: string): ScsiAddress {
  const [, target = '', lun = ''] = /^(\d{1,3}):(\d{1,5})$/.exec(text) ?? [];
  if (target === '' || Number(target) > MAX_TARGET || Number(lun) > MAX_LUN) {
    refuseDevice(field, text, 'is no SCSI address, TARGET:LUN');
  }
  return { target: Number(target), lun: Number(lun) };
}

/** Its node, once it is there. @throws deadline_exceeded */
export async function waitForScsiDisk({ target, lun }: ScsiAddress, host: DeviceHost): Promise<string> {
  const { sysDir } = host;
  await loadModules(MODULES, sysDir);
  const scanned = new Set<string>();
  const name = await waitForDevice(
    {
      what: `SCSI disk ${target}:${lun}`,
      subsystems: ['block', 'scsi', 'pci', 'virtio'],
      look: async () => {
        const found = await findScsiDisk(sysDir, target, lun);
        if (found === undefined) await scanControllers(sysDir, `0 ${target} ${lun}`, scanned);
        return found ?? (await findScsiDisk(sysDir, target, lun));
      },
      onDelay: async () => scanned.clear(),
    },
    host,
  );
  return await waitForNode(join(host.devDir, name), host);
}

/** The disk's name below the first controller that has one there; its channel is always 0. */
async function findScsiDisk(sysDir: string, target: number, lun: number): Promise<string | undefined> {
  const devices = join(sysDir, 'bus/scsi/devices');
  for (const device of await listDirectory(devices)) {
    if (!/^\d+:/.test(device) || device.replace(/^\d+/, '') !== `:0:${target}:${lun}`) continue;
    const name = (await listDirectory(join(devices, device, 'block')))[0];
    if (name !== undefined) return name;
  }
  return undefined;
}

/** Each controller once: one that comes while we wait is told as well. */
async function scanControllers(sysDir: string, what: string, scanned: Set<string>): Promise<void> {
  const controllers = join(sysDir, 'class/scsi_host');
  for (const controller of await listDirectory(controllers)) {
    if (scanned.has(controller)) continue;
    scanned.add(controller);
    try {
      await writeAttribute(join(controllers, controller, 'scan'), what);
    } catch (error) {
      // EINVAL: it has no such target.
      if (!isErrno(error, 'ENOENT', 'ENODEV', 'EINVAL')) throw fromErrno(error, `look for SCSI disks on ${controller}`);
    }
  }
}
