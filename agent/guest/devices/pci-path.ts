// PCI paths as Kata writes them: the slot on the root bus, then the slot behind each bridge, in hexadecimal (`02/03`).
// A first number above 1f is a root bus of its own (`20/00/02`), since a bus has 32 slots.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno } from '../../errors.ts';
import { refuseDevice } from './refusal.ts';
import { writeAttribute } from './sysfs.ts';

const MAX_SLOT = 0x1f;
/** Bridges in a row; PCIe allows more than anyone builds. */
const MAX_DEPTH = 16;

export interface PciPath {
  /** Number of the root bus. */
  readonly rootBus: number;
  /** `02.0`: slot and function, one a level. */
  readonly slots: readonly string[];
}

/**
 * Undefined when the text has another form.
 * @param field whose text it is, for errors
 * @throws invalid_argument for numbers out of range
 */
export function parsePciPath(text: string, field = 'storages[].source'): PciPath | undefined {
  if (!/^[0-9a-f]{2}(\.[0-7])?(\/[0-9a-f]{2}(\.[0-7])?)*$/i.test(text)) return undefined;
  const parts = text.toLowerCase().split('/');
  const first = Number.parseInt(parts[0]!, 16);
  const rootBus = first > MAX_SLOT ? first : 0;
  const slots = (rootBus > 0 ? parts.slice(1) : parts).map((part) => (part.includes('.') ? part : `${part}.0`));
  if (slots.length === 0 || slots.length > MAX_DEPTH || slots.some((slot) => Number.parseInt(slot, 16) > MAX_SLOT)) {
    refuseDevice(field, text, 'is no PCI path');
  }
  return { rootBus, slots };
}

/** The device's directory in sysfs, or undefined while it or a bridge before it is not there. */
export async function findPciDevice({ rootBus, slots }: PciPath, sysDir: string): Promise<string | undefined> {
  let bus = `0000:${rootBus.toString(16).padStart(2, '0')}`;
  let directory = join(sysDir, 'devices', `pci${bus}`);
  for (const [depth, slot] of slots.entries()) {
    if (depth > 0) {
      // A bridge's one secondary bus.
      const behind = (await listDirectory(join(directory, 'pci_bus')))[0];
      if (behind === undefined) return undefined;
      bus = behind;
    }
    const name = `${bus}:${slot}`;
    if (!(await listDirectory(directory)).includes(name)) return undefined;
    directory = join(directory, name);
  }
  return directory;
}

/** Name of the block device (`vda`) of a PCI device that is one. */
export async function findBlockDevice(pciDevice: string): Promise<string | undefined> {
  for (const entry of await listDirectory(pciDevice)) {
    if (/^virtio\d+$/.test(entry)) return (await listDirectory(join(pciDevice, entry, 'block')))[0];
  }
  return undefined;
}

/** Without ACPI hot-plug nobody tells the kernel of a new device (kata-containers #13889). */
export async function rescanPci(sysDir: string): Promise<void> {
  await writeAttribute(join(sysDir, 'bus/pci/rescan'), '1').catch(() => {});
}

/** Names in a directory of sysfs; none where it is not there (yet). */
export async function listDirectory(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}
