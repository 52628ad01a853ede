// The names in an open directory, as they are found: a directory may have any number of them.
import type { Dirent } from 'node:fs';
import { opendir } from 'node:fs/promises';

/** Read from the kernel at a time. */
const BATCH = 256;

/** Runs one file operation when there is a place for it. */
export type RunOne = <T>(work: () => Promise<T>) => Promise<T>;

/** As bytes: what is found in a directory need not be UTF-8. */
export async function* namesIn(directory: number, run: RunOne = (work) => work()): AsyncGenerator<Buffer> {
  // Node's types know no directory of buffers.
  const options = { encoding: 'buffer' as BufferEncoding, bufferSize: BATCH };
  const opened = await run(() => opendir(`/proc/self/fd/${directory}/.`, options));
  try {
    for (;;) {
      const entry = (await run(() => opened.read())) as Dirent<Buffer> | null;
      if (entry === null) return;
      yield entry.name;
    }
  } finally {
    await opened.close();
  }
}

/** A path that names an entry of an open directory. */
export function atBytes(directory: number, name: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`/proc/self/fd/${directory}/`), name]);
}
