// Takes away the names that an earlier agent gave to files for a moment and died before it had taken them back (guest/files/temporary-name.ts).
import { unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { hasCode, isErrno } from '../errors.ts';
import { at } from '../guest/files/confined-directory.ts';
import { FILES } from '../guest/files/files-lane.ts';
import { isTemporaryName, type TemporaryFacts } from '../guest/files/temporary-name.ts';
import type { StateStore } from '../keeper/journal.ts';
import type { JournalRecord } from '../keeper/journal-format.ts';
import type { Logger } from '../log.ts';
import { FileRoots, type FileRootsHost } from './file-roots.ts';

export interface TemporariesHost extends FileRootsHost {
  readonly state: StateStore;
  readonly log: Logger;
}

/**
 * @param records of TEMPORARY_KIND
 * One after the other; whatever container they are in has been taken over by then, or its files went with it. One that can't be removed is told
 * in the log and left, since its directory may have become anybody's. Never rejects.
 */
export async function removeTemporaries(host: TemporariesHost, records: readonly JournalRecord[]): Promise<void> {
  const roots = new FileRoots(host);
  for (const { kind, id: name, value } of records) {
    if (!isTemporaryName(name)) continue;
    const { containerId, directory } = value as TemporaryFacts;
    try {
      await remove(roots, containerId, join(directory, name));
    } catch (error) {
      const isGone = hasCode(error, 'not_found') || hasCode(error, 'failed_precondition');
      if (!isGone) host.log.error('a file of an earlier agent is left', { container: containerId, directory, name, error });
    }
    host.state.remove(kind, name);
  }
}

async function remove(roots: FileRoots, containerId: string, path: string): Promise<void> {
  await roots.use(containerId, new AbortController().signal, async ({ root }) => {
    const { directory, name } = await root.place(path);
    try {
      await FILES.run(() => unlink(at(directory, name)));
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error;
    } finally {
      root.door.close(directory);
    }
  });
}
