// New limits for tmpfs storage that is in use: a pod's shared memory grows with its memory limit.
import { MS } from '../../../native/index.ts';
import { AgentError, fromErrno } from '../../errors.ts';
import { type MountEntry, readMounts } from '../../guest/mount-table.ts';
import { withinMs } from '../deadline.ts';
import { withDirectory } from './guest-path.ts';
import { parseMountOptions, takeOption } from './mount-options.ts';
import { checkMountPoint } from './mount-target.ts';
import type { Storage, StorageDoor } from './storage.ts';

/** Of one request. */
const MAX_STORAGES = 256;
/** A tmpfs answers at once; what it lies in may not. */
const TIMEOUT_MS = 10_000;
/** What a mount keeps unless the request says otherwise; mount(2) alone would clear it. */
const KEPT = new Set(['ro', 'nosuid', 'nodev', 'noexec', 'noatime', 'nodiratime', 'relatime', 'nosymfollow']);

/** Changes the options of ephemeral storages; nothing is changed when one of them can't be. @throws internal, invalid_argument */
export async function remountEphemeral(
  storages: readonly Storage[],
  door: StorageDoor,
  mountTable: () => Promise<readonly MountEntry[]> = readMounts,
): Promise<void> {
  if (storages.length > MAX_STORAGES) throw failed(`more than ${MAX_STORAGES} storages`);
  const other = storages.find(({ driver }) => driver !== 'ephemeral');
  if (other !== undefined) throw failed(`Unsupported storage type for syncing mounts ${other.driver}`);
  if (storages.length === 0) return;
  const mounts = await mountTable();
  const changes = storages.map((storage) => planChange(storage, mounts));
  for (const { target, flags, data } of changes) {
    try {
      const remounting = withDirectory(target, {}, (directory) => door.mount('tmpfs', directory, 'tmpfs', flags, data));
      await withinMs(TIMEOUT_MS, `remount ${target}`, remounting);
    } catch (error) {
      throw fromErrno(error, `Failed to update mounts: remount ${target}`, { mountPoint: target });
    }
  }
}

function planChange(storage: Storage, mounts: readonly MountEntry[]): { target: string; flags: number; data: string } {
  const target = checkMountPoint(storage.mountPoint);
  // The newest hides the others.
  const mounted = mounts.findLast((mount) => mount.target === target);
  if (mounted?.fstype !== 'tmpfs') throw failed(`no tmpfs is mounted on ${target}`);
  const kept = mounted.options.filter((option) => KEPT.has(option));
  const { flags, data } = parseMountOptions([...kept, ...takeOption(storage.options, 'fsgid').rest]);
  return { target, flags: flags | MS.REMOUNT, data };
}

function failed(problem: string): AgentError {
  return new AgentError('internal', `Failed to update mounts: ${problem}`, { fields: { field: 'storages' } });
}
