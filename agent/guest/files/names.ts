// Names made, moved and removed below a root.

import { constants } from 'node:fs';
import { chmod, chown, mkdir, rmdir, unlink } from 'node:fs/promises';
import { AgentError, hasCode, isErrno } from '../../errors.ts';
import { at, descriptorPath } from './confined-directory.ts';
import { fileError, quoted } from './file-error.ts';
import type { FileFacts } from './file-facts.ts';
import { type FileRoot, O_PATH, type Owner } from './file-root.ts';
import { FILES } from './files-lane.ts';
import { removeEntry } from './remove-entry.ts';

export interface DirectoryOptions extends Owner {
  readonly mode: number;
  /** Those above it are made as well, and one that is there is fine and stays as it is. */
  readonly makeParents: boolean;
}

/** @throws already_exists */
export async function makeDirectory(root: FileRoot, path: string, options: DirectoryOptions): Promise<FileFacts> {
  const { makeParents, mode, uid, gid } = options;
  const place = await root.place(path, makeParents ? options : undefined);
  const { door } = root;
  try {
    await FILES.run(() => mkdir(at(place.directory, place.name), { mode: 0o700 }));
    const made = await door.openBeneath(
      place.directory,
      place.name,
      O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW,
      0,
      true,
    );
    try {
      await FILES.run(async () => {
        await chown(descriptorPath(made), uid, gid);
        await chmod(descriptorPath(made), mode);
      });
    } finally {
      door.close(made);
    }
    return await root.statPlace(place, path);
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw fileError(error, 'make', path);
    const there = await root.stat(path, false);
    if (makeParents && there.type === 'directory') return there;
    throw new AgentError('already_exists', `${quoted(path)} is there already`, { cause: error, fields: { field: 'path', path } });
  } finally {
    door.close(place.directory);
  }
}

export async function renamePath(root: FileRoot, from: string, to: string, noReplace: boolean): Promise<FileFacts> {
  const { door } = root;
  const source = await root.place(from);
  try {
    const target = await root.place(to);
    try {
      await door.renameAt(source.directory, source.name, target.directory, target.name, noReplace);
      return await root.statPlace(target, to);
    } catch (error) {
      throw fileError(error, `move to ${quoted(to)}`, from);
    } finally {
      door.close(target.directory);
    }
  } finally {
    door.close(source.directory);
  }
}

export async function removePath(
  root: FileRoot,
  path: string,
  { recursive, missingOk }: { recursive: boolean; missingOk: boolean },
): Promise<void> {
  try {
    const place = await root.place(path);
    try {
      if (recursive && !missingOk) await root.statPlace(place, path);
      if (recursive) await removeEntry(place, (work) => FILES.run(work));
      else await FILES.run(() => removeOne(at(place.directory, place.name)));
    } finally {
      root.door.close(place.directory);
    }
  } catch (error) {
    const told = fileError(error, 'remove', path);
    if (!(missingOk && hasCode(told, 'not_found'))) throw told;
  }
}

async function removeOne(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (!isErrno(error, 'EISDIR')) throw error;
    await rmdir(path);
  }
}
