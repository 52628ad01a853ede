// The guest's root file system, as far as it matters to containers.
import { type MountEntry, readMounts } from './mount-table.ts';

/** File system type of `/`: `erofs`, `ext4`, `rootfs` for an initramfs. */
export async function readRootFsType(mounts?: readonly Pick<MountEntry, 'target' | 'fstype'>[]): Promise<string> {
  // A later mount hides an earlier one.
  return (mounts ?? (await readMounts())).findLast(({ target }) => target === '/')?.fstype ?? '';
}

/** pivot_root(2) can't move the initramfs, so crun has to be told `--no-pivot`. */
export function needsNoPivot(rootFsType: string): boolean {
  return rootFsType === 'rootfs';
}
