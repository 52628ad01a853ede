// Where the sources of bind mounts really lead. Content of a shared directory belongs to containers, and a symbolic link that
// one of them planted there must not make crun mount something of the guest into another.
// The look comes before crun's own, so it stops a link that lies in wait, not one that is swapped in between.
import { realpath } from 'node:fs/promises';
import { isErrno } from '../errors.ts';
import { Lane } from '../guest/lane.ts';
import { DEFAULT_PRIVATE_PATHS } from './spec/context.ts';
import { checkSource, isBind } from './spec/mounts.ts';
import { isWithin } from './spec/paths.ts';
import { quote, refuse } from './spec/refusal.ts';
import type { MountSpec } from './spec/types.ts';
import { withPatience } from './storage/patience.ts';

/** A look at a file system that does not answer takes one of libuv's 16 threads, for as long as it likes. */
const looks = new Lane({ name: 'mount-sources', width: 2, maxWaiting: 1024 });
const PATIENCE_MS = 20_000;

export interface LookOptions {
  look?: (path: string) => Promise<string>;
  patienceMs?: number;
}

/**
 * @param mounts as prepared (spec/mounts.ts)
 * @param sharedDir what lies below it must lead to what lies below it
 * @throws invalid_argument naming the mount; deadline_exceeded naming one on a file system that does not answer; a source that is not there is left to crun to complain of
 */
export async function checkMountSources(
  mounts: readonly MountSpec[],
  sharedDir: string,
  privatePaths: readonly string[] = DEFAULT_PRIVATE_PATHS,
  { look = realpath, patienceMs = PATIENCE_MS }: LookOptions = {},
): Promise<void> {
  for (const [index, mount] of mounts.entries()) {
    const { source } = mount;
    if (!isBind(mount) || source === undefined) continue;
    const field = `mounts[${index}].source`;
    const real = await withPatience({ patienceMs, doing: `look at ${field} ${quote(source)}`, fields: { field } }, ({ signal }) =>
      looks.run(() => resolve(source, look), signal),
    );
    if (real === undefined) continue;
    checkSource(real, field, privatePaths);
    if (isWithin(source, sharedDir) && !isWithin(real, sharedDir)) {
      refuse(field, `${quote(source)} leads out of ${sharedDir}, to ${quote(real)}`);
    }
  }
}

async function resolve(path: string, look: (path: string) => Promise<string>): Promise<string | undefined> {
  try {
    return await look(path);
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return undefined;
    throw error;
  }
}
