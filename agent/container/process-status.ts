// What /proc tells of a process that nobody has asked us to start (man 5 proc_pid_status).
import { readFile } from 'node:fs/promises';

/** Files of /proc open at a time: the agent's thread pool has work of others to do. */
const AT_A_TIME = 8;

export interface ProcessStatus {
  readonly pid: number;
  readonly parentPid: number;
  readonly command: string;
  /** R, S, D, Z ... */
  readonly state: string;
  readonly residentBytes: bigint;
}

/** Those that are gone by then are left out. */
export async function readStatuses(pids: readonly number[]): Promise<ProcessStatus[]> {
  const statuses: ProcessStatus[] = [];
  for (let from = 0; from < pids.length; from += AT_A_TIME) {
    const read = await Promise.all(pids.slice(from, from + AT_A_TIME).map(readStatus));
    for (const status of read) if (status !== undefined) statuses.push(status);
  }
  return statuses;
}

export async function readResidentBytes(pids: readonly number[]): Promise<bigint> {
  return (await readStatuses(pids)).reduce((sum, { residentBytes }) => sum + residentBytes, 0n);
}

async function readStatus(pid: number): Promise<ProcessStatus | undefined> {
  try {
    return parseStatus(pid, await readFile(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return undefined;
  }
}

/** Kernel threads and zombies have no memory, and no line for it. */
export function parseStatus(pid: number, text: string): ProcessStatus {
  const field = (name: string) => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(text)?.[1] ?? '';
  return {
    pid,
    parentPid: Number(field('PPid')) || 0,
    command: field('Name'),
    state: field('State').slice(0, 1),
    residentBytes: BigInt(/^(\d+) kB$/.exec(field('VmRSS'))?.[1] ?? 0) * 1024n,
  };
}
