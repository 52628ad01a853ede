// `local`: a plain directory of the guest, shared by the containers of a pod and left behind as it is.
import { chmod } from 'node:fs/promises';
import { AgentError } from '../../errors.ts';
import { giveToGroup, parseGid } from './ephemeral.ts';
import { makeDirectory, withDirectory } from './guest-path.ts';
import { takeOption } from './mount-options.ts';
import { NOTHING_TO_DETACH, type StorageDriver } from './storage.ts';

const SETGID = 0o2000;

export const local: StorageDriver = {
  name: 'local',
  attach: async ({ options, mountPoint }) => {
    const mode = parseMode(takeOption(options, 'mode').value);
    const group = takeOption(options, 'fsgid').value;
    const gid = group === undefined ? undefined : parseGid(group);
    await makeDirectory(mountPoint, mode ?? 0o755);
    if (gid !== undefined) await giveToGroup(mountPoint, gid, (mode ?? 0o775) | SETGID);
    else if (mode !== undefined) await withDirectory(mountPoint, {}, (directory) => chmod(directory, mode));
    return NOTHING_TO_DETACH;
  },
};

function parseMode(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^[0-7]{1,5}$/.test(text) && Number.parseInt(text, 8) <= 0o7777) return Number.parseInt(text, 8);
  throw new AgentError('invalid_argument', `storages[].options: mode=${JSON.stringify(text.slice(0, 40))} is no octal mode`, {
    fields: { field: 'options' },
  });
}
