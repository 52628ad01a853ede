// When a process started, in clock ticks since boot: with it a pid names one process for good.
import { readFile } from 'node:fs/promises';
import { uptime } from 'node:os';
import { AgentError, fromErrno, isErrno } from '../errors.ts';

const START_TIME_FIELD = 22;
/** USER_HZ, which is what /proc counts in on every architecture that Node runs on. */
const TICKS_PER_SECOND = 100;

/** The start time of a process, one not yet reaped included; undefined when there is none of that pid. */
export async function readStartTime(pid: number): Promise<bigint | undefined> {
  try {
    return parseStartTime(await readFile(`/proc/${pid}/stat`, 'utf8'));
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ESRCH')) return undefined;
    throw fromErrno(error, 'read the start time of a process', { pid });
  }
}

/**
 * Field 22 of a /proc/pid/stat line (man 5 proc_pid_stat). The second field is the program's name in parentheses and may
 * hold spaces, newlines and parentheses itself, so the count begins after the last one.
 * @throws internal
 */
export function parseStartTime(stat: string): bigint {
  const nameEnd = stat.lastIndexOf(')');
  const field = stat.slice(nameEnd + 2).split(' ')[START_TIME_FIELD - 3];
  if (nameEnd < 0 || field === undefined || !/^\d+$/.test(field)) {
    throw new AgentError('internal', 'read a start time out of a /proc/pid/stat without one');
  }
  return BigInt(field);
}

/** Now, on the clock of start times: a process made after this call has started at this tick or a later one. */
export function ticksSinceBoot(): bigint {
  return BigInt(Math.floor(uptime() * TICKS_PER_SECOND));
}
