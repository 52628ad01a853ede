// What every storage on a block device of its own shares: the file system made if asked for, mounted, unmounted.
import { AgentError } from '../../errors.ts';
import { runTool } from '../../process/tool.ts';
import { parseMountOptions } from './mount-options.ts';
import { mountOn } from './mount-target.ts';
import type { Detach, Storage, StorageHost } from './storage.ts';

/** ext4 as Kata makes it: no journal, few inodes, for scratch space. */
const MKFS = ['-F', '-O', '^has_journal', '-m', '0', '-i', '163840', '-I', '128'];
export const MKFS_TIMEOUT_MS = 60_000;

/** @param node of the device, which is there @throws invalid_argument; unimplemented for encryption */
export async function mountDevice(node: string, storage: Storage, { door }: StorageHost): Promise<Detach> {
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
  return await mountOn(door, storage.mountPoint, { source: node, fstype: storage.fstype }, options);
}
