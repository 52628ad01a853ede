// The processes of a cgroup and of those below it, one by one.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { native } from '../../native/index.ts';
import { isErrno } from '../errors.ts';
import { isGone, readCgroupFile } from './cgroup-file.ts';

/** A tree with more is told in part; it is killed whole. */
export const MAX_MEMBERS = 4096;
/** cgroups below one another; a container may nest its own. */
const MAX_DEPTH = 32;

/** pids as the guest's root namespace numbers them. At most {@link MAX_MEMBERS}. */
export async function readMembers(directory: string, options: { below?: boolean } = {}): Promise<number[]> {
  const pids: number[] = [];
  await collect(directory, options.below === false ? 0 : MAX_DEPTH, pids);
  return pids;
}

async function collect(directory: string, depth: number, pids: number[]): Promise<void> {
  for (const line of ((await readCgroupFile(join(directory, 'cgroup.procs'))) ?? '').split('\n')) {
    const pid = Number(line);
    // 0 is a process that is in no namespace of ours.
    if (Number.isInteger(pid) && pid > 0 && pids.length < MAX_MEMBERS) pids.push(pid);
  }
  if (depth === 0) return;
  for (const name of await subdirectories(directory)) await collect(join(directory, name), depth - 1, pids);
}

/**
 * A signal to each process that is in the cgroup now. What forks meanwhile may be missed: only cgroup.kill is for all.
 * @param path of the cgroup, from the mount of cgroup2 on @param but a pid that is left out
 * @throws EINVAL for a signal that does not exist
 */
export async function signalMembers(directory: string, path: string, signal: number, but?: number): Promise<void> {
  for (const pid of await readMembers(directory)) {
    if (pid === but) continue;
    const pidfd = openPidfd(pid);
    if (pidfd === undefined) continue;
    try {
      // The number may have gone to another process since it was read; what the pidfd names can't change any more.
      if (await isMember(path, pid)) native().pidfdSendSignal(pidfd, signal);
    } catch (error) {
      if (!isErrno(error, 'ESRCH')) throw error;
    } finally {
      native().close(pidfd);
    }
  }
}

function openPidfd(pid: number): number | undefined {
  try {
    return native().pidfdOpen(pid);
  } catch (error) {
    if (isErrno(error, 'ESRCH', 'EINVAL')) return undefined;
    throw error;
  }
}

async function isMember(path: string, pid: number): Promise<boolean> {
  const own = /^0::(\/.*)$/m.exec((await readCgroupFile(`/proc/${pid}/cgroup`)) ?? '')?.[1];
  return own === path || own?.startsWith(`${path}/`) === true;
}

async function subdirectories(directory: string): Promise<string[]> {
  try {
    const entries = await readdir(directory, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  } catch (error) {
    if (isGone(error)) return [];
    throw error;
  }
}
