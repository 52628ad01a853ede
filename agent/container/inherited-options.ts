// A bind mount of a container keeps the restrictions of the mount it is made from, as the kernel has it (man 8 mount). crun
// sets the options that it is told and clears the others: a storage that was attached read-only or `nodev` would be neither.
import type { MountEntry } from '../guest/mount-table.ts';
import { isBind } from './spec/mounts.ts';
import { isWithin } from './spec/paths.ts';
import type { MountSpec } from './spec/types.ts';

const RESTRICTIONS = ['ro', 'nosuid', 'nodev', 'noexec'];

/** @param table in the order the mounts were made */
export function inheritOptions(mounts: readonly MountSpec[], table: readonly MountEntry[]): MountSpec[] {
  return mounts.map((mount) => {
    if (!isBind(mount) || mount.source === undefined) return mount;
    const below = mountOf(mount.source, table);
    const options = mount.options ?? [];
    const missing = RESTRICTIONS.filter((option) => below?.options.includes(option) && !options.includes(option));
    // The last of `rw` and `ro` counts.
    return missing.length === 0 ? mount : { ...mount, options: [...options, ...missing] };
  });
}

/** The mount that a path lies on: the innermost, and of those in one place the newest. */
function mountOf(path: string, table: readonly MountEntry[]): MountEntry | undefined {
  let found: MountEntry | undefined;
  for (const entry of table) {
    if (isWithin(path, entry.target) && entry.target.length >= (found?.target.length ?? 0)) found = entry;
  }
  return found;
}
