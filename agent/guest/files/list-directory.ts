// What is in a directory, as it is found and never all at once.
import { lstat, readlink } from 'node:fs/promises';
import { isErrno } from '../../errors.ts';
import { atBytes, namesIn } from './directory-names.ts';
import { fileError } from './file-error.ts';
import { type FileFacts, factsOf } from './file-facts.ts';
import type { FileRoot } from './file-root.ts';
import { FILES } from './files-lane.ts';

const BATCH = 256;

/** Batches of at most 256; what goes meanwhile is left out. @throws AgentError; the signal's reason */
export async function* listDirectory(root: FileRoot, path: string, signal: AbortSignal): AsyncGenerator<FileFacts[]> {
  await using directory = await root.openDirectory(path);
  const names = namesIn(directory.fd, (work) => FILES.run(work, signal));
  try {
    let batch: FileFacts[] = [];
    for await (const name of names) {
      const facts = await factsIn(directory.fd, name);
      if (facts !== undefined) batch.push(facts);
      if (batch.length < BATCH) continue;
      yield batch;
      batch = [];
    }
    if (batch.length > 0) yield batch;
  } catch (error) {
    throw signal.aborted ? signal.reason : fileError(error, 'list', path);
  }
}

async function factsIn(directory: number, name: Buffer): Promise<FileFacts | undefined> {
  const path = atBytes(directory, name);
  try {
    return await FILES.run(async () => {
      const stats = await lstat(path, { bigint: true });
      return factsOf(name.toString(), stats, stats.isSymbolicLink() ? await readlink(path) : '');
    });
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}
