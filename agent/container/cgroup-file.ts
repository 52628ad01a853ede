// The files of a cgroup v2 directory (Documentation/admin-guide/cgroup-v2.rst), read and written as text.
import { constants } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { isErrno } from '../errors.ts';

/** The text, or undefined when the file or its cgroup is not there: controllers differ, and cgroups end while being read. */
export async function readCgroupFile(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENODEV', 'EOPNOTSUPP')) return undefined;
    throw error;
  }
}

/** Writes to a file that exists. @throws ENOENT, ENODEV when the cgroup is gone */
export async function writeCgroupFile(path: string, text: string): Promise<void> {
  // Neither O_CREAT nor O_TRUNC: kernfs has no use for them.
  const file = await open(path, constants.O_WRONLY);
  try {
    await file.write(text);
  } finally {
    await file.close();
  }
}

/** Whether the error says that the cgroup has been removed, before or during the call. */
export function isGone(error: unknown): boolean {
  return isErrno(error, 'ENOENT', 'ENODEV');
}

/** "Flat keyed": one `key number` a line. Lines of another form are left out. */
export function parseFlatKeyed(text: string | undefined): Map<string, bigint> {
  const values = new Map<string, bigint>();
  for (const line of (text ?? '').split('\n')) {
    const match = /^(\S+) (\d+)$/.exec(line);
    if (match) values.set(match[1]!, BigInt(match[2]!));
  }
  return values;
}

/** One number; undefined for `max` and for no file. */
export function parseLimit(text: string | undefined): bigint | undefined {
  const trimmed = text?.trim() ?? '';
  return /^\d+$/.test(trimmed) ? BigInt(trimmed) : undefined;
}
