// Files that live as long as one call of crun or of the launcher.
import { open, unlink } from 'node:fs/promises';
import { fromErrno, isErrno } from '../errors.ts';

/** One that is gone already is fine. */
export async function removeScratchFile(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw fromErrno(error, `remove ${path}`);
  }
}

/** The first `maxBytes` as text; empty when there is no such file. */
export async function readScratchFile(path: string, maxBytes: number): Promise<string> {
  try {
    await using file = await open(path);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(maxBytes), 0, maxBytes, 0);
    return buffer.toString('utf8', 0, bytesRead);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return '';
    throw fromErrno(error, `read ${path}`);
  }
}
