// Takes a mount away from where it hangs; whoever still uses it keeps it.
import { MNT_DETACH, type Native, UMOUNT_NOFOLLOW } from '../../native/index.ts';
import { fromErrno, isErrno } from '../errors.ts';

/** Follows no link, and a path that is missing or no mount point (EINVAL) is fine (man 2 umount2). */
export async function detachMount(door: Pick<Native, 'umount'>, target: string): Promise<void> {
  try {
    await door.umount(target, MNT_DETACH | UMOUNT_NOFOLLOW);
  } catch (error) {
    if (!isErrno(error, 'EINVAL', 'ENOENT')) throw fromErrno(error, `unmount ${target}`);
  }
}
