// `blk`: a virtio block device behind PCI, by its PCI path or its node. `mmioblk`: one on virtio-mmio, by its node.
import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AgentError, isErrno } from '../../errors.ts';
import { runTool } from '../../process/tool.ts';
import { parseMountOptions } from './mount-options.ts';
import { mountOn, unmountFrom } from './mount-target.ts';
import { findBlockDevice, findPciDevice, type PciPath, parsePciPath } from './pci-path.ts';
import type { Detach, Storage, StorageDriver, StorageHost } from './storage.ts';
import { waitForDevice } from './wait-for-device.ts';

/** ext4 as Kata makes it: no journal, few inodes, for scratch space. */
const MKFS = ['-F', '-O', '^has_journal', '-m', '0', '-i', '163840', '-I', '128'];
const MKFS_TIMEOUT_MS = 60_000;

/** What a look for a device needs. */
export type DeviceHost = Pick<StorageHost, 'hotplugTimeoutMs' | 'sysDir' | 'devDir'>;

export const blk: StorageDriver = {
  name: 'blk',
  attach: async (storage, host) => await mountDevice(await findNode(storage.source, host), storage, host),
};

export const mmioblk: StorageDriver = {
  name: 'mmioblk',
  attach: async (storage, host) => await mountDevice(await waitForNode(deviceNode(storage.source, host), host), storage, host),
};

async function findNode(source: string, host: StorageHost): Promise<string> {
  const path = source.startsWith('/') ? undefined : parsePciPath(source);
  const node = path === undefined ? deviceNode(source, host) : await waitForPciDisk(source, path, host);
  return await waitForNode(node, host);
}

/** Its node, once it is there; the rescan of the bus is for machines without ACPI. @throws deadline_exceeded */
export async function waitForPciDisk(source: string, path: PciPath, host: DeviceHost): Promise<string> {
  const look = async () => {
    const device = await findPciDevice(path, host.sysDir);
    const name = device === undefined ? undefined : await findBlockDevice(device);
    return name === undefined ? undefined : join(host.devDir, name);
  };
  // Without ACPI hot-plug nobody tells the kernel of a new device (kata-containers #13889).
  const rescan = () => writeFile(join(host.sysDir, 'bus/pci/rescan'), '1').catch(() => {});
  return await waitForDevice(`block device at PCI path ${source}`, host.hotplugTimeoutMs, look, rescan);
}

/** @throws invalid_argument unless it names a file directly below /dev, or in one of its directories */
function deviceNode(source: string, { devDir }: StorageHost): string {
  const name = source.startsWith(`${devDir}/`) ? source.slice(devDir.length + 1) : undefined;
  if (name?.split('/').every((part) => part !== '' && part !== '.' && part !== '..')) return source;
  throw new AgentError('invalid_argument', `storages[].source: ${JSON.stringify(source)} is neither a PCI path nor a device`, {
    fields: { field: 'source' },
  });
}

/** The node itself, once it is there and a block device. @throws deadline_exceeded, invalid_argument */
export async function waitForNode(node: string, host: DeviceHost): Promise<string> {
  return await waitForDevice(node, host.hotplugTimeoutMs, async () => {
    try {
      if ((await stat(node)).isBlockDevice()) return node;
      throw new AgentError('invalid_argument', `storages[].source: ${node} is not a block device`, {
        fields: { field: 'source' },
      });
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return undefined;
      throw error;
    }
  });
}

async function mountDevice(node: string, storage: Storage, { door }: StorageHost): Promise<Detach> {
  if (storage.fstype === '') {
    throw new AgentError('invalid_argument', 'storages[].fstype: is empty', { fields: { field: 'fstype' } });
  }
  const options = parseMountOptions(storage.options);
  for (const option of storage.driverOptions) {
    if (option.startsWith('encryption_key=')) {
      throw new AgentError('unimplemented', `storages[].driver_options: ${option} is not implemented`, {
        fields: { field: 'driver_options' },
      });
    }
  }
  if (storage.driverOptions.includes('create_filesystem')) {
    await runTool('mkfs.ext4', [...MKFS, node], { timeoutMs: MKFS_TIMEOUT_MS });
  }
  await mountOn(door, storage.mountPoint, { source: node, fstype: storage.fstype }, options);
  return () => unmountFrom(door, storage.mountPoint);
}
