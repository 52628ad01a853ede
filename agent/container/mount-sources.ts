// Where the sources of bind mounts really lead. Content of a shared directory belongs to containers, and a symbolic link that
// one of them planted there must not make crun mount something of the guest into another.
// The look comes before crun's own, so it stops a link that lies in wait, not one that is swapped in between.
import { realpath } from 'node:fs/promises';
import { isErrno } from '../errors.ts';
import { DEFAULT_PRIVATE_PATHS } from './spec/context.ts';
import { checkSource, isBind } from './spec/mounts.ts';
import { isWithin } from './spec/paths.ts';
import { quote, refuse } from './spec/refusal.ts';
import type { MountSpec } from './spec/types.ts';

/**
 * @param mounts as prepared (spec/mounts.ts)
 * @param sharedDir what lies below it must lead to what lies below it
 * @throws invalid_argument naming the mount; a source that is not there is left to crun to complain of
 */
export async function checkMountSources(
  mounts: readonly MountSpec[],
  sharedDir: string,
  privatePaths: readonly string[] = DEFAULT_PRIVATE_PATHS,
): Promise<void> {
  for (const [index, mount] of mounts.entries()) {
    if (!isBind(mount) || mount.source === undefined) continue;
    const field = `mounts[${index}].source`;
    const real = await resolve(mount.source);
    if (real === undefined) continue;
    checkSource(real, field, privatePaths);
    if (isWithin(mount.source, sharedDir) && !isWithin(real, sharedDir)) {
      refuse(field, `${quote(mount.source)} leads out of ${sharedDir}, to ${quote(real)}`);
    }
  }
}

async function resolve(path: string): Promise<string | undefined> {
  try {
    return await realpath(path);
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return undefined;
    throw error;
  }
}
