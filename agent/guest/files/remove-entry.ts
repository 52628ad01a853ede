// An entry of a directory removed with all that is below it, whoever works against it meanwhile.
import { constants } from 'node:fs';
import { open, rmdir, unlink } from 'node:fs/promises';
import { AgentError, isErrno } from '../../errors.ts';
import type { Place } from './confined-directory.ts';
import { atBytes, namesIn, type RunOne } from './directory-names.ts';

/** Of directories in each other; each holds two descriptors. */
const MAX_DEPTH = 128;
/** Somebody who goes on putting things in is not waited for. */
const MAX_PASSES = 16;

/**
 * A link is removed, not followed, whoever puts it there meanwhile.
 * @param run bounds the operations
 * @throws EBUSY for a mount point, before anything in it is touched
 */
export async function removeEntry({ directory, name }: Place, run: RunOne = (work) => work()): Promise<void> {
  await removeAt(directory, Buffer.from(name), { depth: 0, run });
}

async function removeAt(directory: number, name: Buffer, { depth, run }: { depth: number; run: RunOne }): Promise<void> {
  const path = atBytes(directory, name);
  try {
    return await run(() => unlink(path));
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return;
    if (!isErrno(error, 'EISDIR')) throw error;
  }
  for (let pass = 1; ; pass++) {
    try {
      return await run(() => rmdir(path));
    } catch (error) {
      if (!isErrno(error, 'ENOTEMPTY') || pass > MAX_PASSES) throw error;
    }
    if (depth >= MAX_DEPTH) {
      throw new AgentError('failed_precondition', `more than ${MAX_DEPTH} directories in each other`, {
        fields: { field: 'path' },
      });
    }
    await using handle = await run(() => open(path, constants.O_DIRECTORY | constants.O_NOFOLLOW));
    for await (const entry of namesIn(handle.fd, run)) await removeAt(handle.fd, entry, { depth: depth + 1, run });
  }
}
