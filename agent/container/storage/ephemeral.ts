// `ephemeral`: a tmpfs that ends with what uses it. Options are honoured, `fsgid=` gives the root a group.
import { chmod, chown } from 'node:fs/promises';
import { AgentError } from '../../errors.ts';
import { parseMountOptions, takeOption } from './mount-options.ts';
import { mountOn, unmountFrom, withDirectory } from './mount-target.ts';
import type { StorageDriver } from './storage.ts';

const MAX_GID = 0xffff_fffe;
/** Group-writable, and new files take the group. */
const GROUP_MODE = 0o2775;

export const ephemeral: StorageDriver = {
  name: 'ephemeral',
  attach: async (storage, { door }) => {
    if (storage.fstype !== '' && storage.fstype !== 'tmpfs') {
      throw new AgentError('unimplemented', `storages[].fstype: ephemeral storage of type ${storage.fstype} is not implemented`, {
        fields: { field: 'fstype' },
      });
    }
    const { value, rest } = takeOption(storage.options, 'fsgid');
    const gid = value === undefined ? undefined : parseGid(value);
    await mountOn(door, storage.mountPoint, { source: storage.source || 'tmpfs', fstype: 'tmpfs' }, parseMountOptions(rest));
    const detach = () => unmountFrom(door, storage.mountPoint);
    try {
      if (gid !== undefined) await giveToGroup(storage.mountPoint, gid);
      return detach;
    } catch (error) {
      await detach().catch(() => {});
      throw error;
    }
  },
};

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
