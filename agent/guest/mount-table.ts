// What is mounted where in this mount namespace (man 5 proc_pid_mountinfo).
import { readFile } from 'node:fs/promises';

export interface MountEntry {
  readonly target: string;
  readonly fstype: string;
  readonly source: string;
  /** Of this mount, not of its file system: `rw`, `nosuid`, `relatime`. */
  readonly options: readonly string[];
}

/** The mounts in the order they were made. */
export async function readMounts(path = '/proc/self/mountinfo'): Promise<MountEntry[]> {
  return parseMountInfo(await readFile(path, 'utf8'));
}

export function parseMountInfo(text: string): MountEntry[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const fields = line.split(' ');
      // Optional fields end at a lone dash, so what follows has no fixed column.
      const dash = fields.indexOf('-', 6);
      return {
        target: unescapeOctal(fields[4] ?? ''),
        fstype: fields[dash + 1] ?? '',
        source: unescapeOctal(fields[dash + 2] ?? ''),
        options: (fields[5] ?? '').split(','),
      };
    });
}

/** Mount points at `directory` or below it, innermost and newest first: the order to unmount them in. */
export function mountsBelow(mounts: readonly MountEntry[], directory: string): string[] {
  return mounts
    .map((mount) => mount.target)
    .filter((target) => target === directory || target.startsWith(`${directory}/`))
    .reverse();
}

/** The kernel writes blank, tab, newline and backslash in octal. */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
