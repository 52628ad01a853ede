// The guest's resolver configuration, as the host gives it (kata-agent.md §1.7): the image's own is read-only, so a file of
// ours is mounted over it.
import { mkdir, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { MS, type Native, native } from '../../native/index.ts';
import { AgentError, fromErrno, isErrno } from '../errors.ts';
import { detachMount } from './detach-mount.ts';

export interface DnsPlaces {
  /** The file that is written. */
  readonly written: string;
  /** The file that programs read. */
  readonly resolver: string;
}

const PLACES: DnsPlaces = { written: '/run/kata-containers/sandbox/resolv.conf', resolver: '/etc/resolv.conf' };

/**
 * One line of resolv.conf(5) an element. No line, or no file to mount over, changes nothing but undoes an earlier call.
 * @throws failed_precondition where the file to mount over is a directory
 */
export async function setupDns(
  lines: readonly string[],
  places: DnsPlaces = PLACES,
  door: Pick<Native, 'mount' | 'umount'> = native(),
): Promise<void> {
  const { written, resolver } = places;
  await detachMount(door, resolver);
  if (lines.length === 0 || !(await isFile(resolver))) return;
  await mkdir(dirname(written), { recursive: true });
  await writeFile(written, `${lines.map((line) => line.trim()).join('\n')}\n`);
  try {
    await door.mount(written, resolver, '', MS.BIND, '');
  } catch (error) {
    throw fromErrno(error, `mount ${written} on ${resolver}`);
  }
}

async function isFile(path: string): Promise<boolean> {
  try {
    if ((await stat(path)).isDirectory())
      throw new AgentError('failed_precondition', `${path} is a directory`, { fields: { path } });
    return true;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false;
    throw error;
  }
}
