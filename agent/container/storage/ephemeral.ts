// `ephemeral`: memory that ends with what uses it, a tmpfs or (hugetlbfs.ts) huge pages. Options are honoured; `fsgid=`
// gives the root a group.
import { chmod, chown } from 'node:fs/promises';
import { AgentError } from '../../errors.ts';
import { withDirectory } from './guest-path.ts';
import { parseMountOptions, takeOption } from './mount-options.ts';
import { mountOn } from './mount-target.ts';
import type { Detach, Storage, StorageDriver, StorageHost } from './storage.ts';

const MAX_GID = 0xffff_fffe;
/** Group-writable, and new files take the group. */
const GROUP_MODE = 0o2775;

export const ephemeral: StorageDriver = {
  name: 'ephemeral',
  attach: async (storage, host) => {
    const { value, rest } = takeOption(storage.options, 'fsgid');
    const gid = value === undefined ? undefined : parseGid(value);
    const detach = await attachMemory({ ...storage, options: rest }, host);
    try {
      if (gid !== undefined) await giveToGroup(storage.mountPoint, gid);
      return detach;
    } catch (error) {
      await detach().catch(() => {});
      throw error;
    }
  },
};

async function attachMemory(storage: Storage, host: StorageHost): Promise<Detach> {
  switch (storage.fstype) {
    case '':
    case 'tmpfs':
      return await mountOn(
        host.door,
        storage.mountPoint,
        { source: storage.source || 'tmpfs', fstype: 'tmpfs' },
        parseMountOptions(storage.options),
      );
    case 'hugetlbfs':
      return await (await import('./hugetlbfs.ts')).attachHugetlbfs(storage, host);
    default:
      throw new AgentError('invalid_argument', `storages[].fstype: ephemeral storage is no ${JSON.stringify(storage.fstype)}`, {
        fields: { field: 'fstype' },
      });
  }
}

export async function giveToGroup(path: string, gid: number, mode = GROUP_MODE): Promise<void> {
  await withDirectory(path, {}, async (directory) => {
    await chown(directory, 0, gid);
    await chmod(directory, mode);
  });
}

/** @throws invalid_argument */
export function parseGid(text: string): number {
  const gid = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (gid <= MAX_GID) return gid;
  throw new AgentError('invalid_argument', `storages[].options: fsgid=${JSON.stringify(text.slice(0, 40))} is no group id`, {
    fields: { field: 'options' },
  });
}
