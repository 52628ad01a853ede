// What the crun at hand was built with.
import { open } from 'node:fs/promises';
import { type Native, native } from '../../native/index.ts';
import { isErrno } from '../errors.ts';
import { runChild } from '../process/child.ts';

/** `crun --version` prints a few lines, and a pipe holds 64 KiB: the child never waits for its reader. */
const MAX_OUTPUT_BYTES = 16 * 1024;

/** The build features, as `crun --version` lists them: `SECCOMP`, `EBPF`, `CRIU`. */
export async function readCrunFeatures(file: string, door: Native = native()): Promise<ReadonlySet<string>> {
  return parseFeatures(await readCrunVersion(file, door));
}

/** What `crun --version` says; its first line names the version. '' where there is no crun: all but containers can be had without. */
export async function readCrunVersion(file: string, door: Native = native()): Promise<string> {
  const [readEnd, writeEnd] = door.pipe();
  try {
    try {
      await runChild({ file, args: ['crun', '--version'], env: [], fds: [-1, writeEnd, -1] });
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return '';
      throw error;
    } finally {
      door.close(writeEnd);
    }
    return await readPipe(readEnd);
  } finally {
    door.close(readEnd);
  }
}

export function parseFeatures(version: string): ReadonlySet<string> {
  return new Set([...version.matchAll(/(?<=^|\s)\+([A-Z0-9_]+)(?=\s|$)/g)].map((match) => match[1]!));
}

async function readPipe(fd: number): Promise<string> {
  const file = await open(`/proc/self/fd/${fd}`, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_OUTPUT_BYTES), 0, MAX_OUTPUT_BYTES, null);
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await file.close();
  }
}
