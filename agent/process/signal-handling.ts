// Whether a process does anything about a signal, by /proc/<pid>/status (man 5 proc_pid_status).
import { readFile } from 'node:fs/promises';

/** Blocked, ignored or caught all count; a process that cannot be looked at counts as not handling it. */
export async function handlesSignal(pid: number, signal: number): Promise<boolean> {
  try {
    return maskHas(await readFile(`/proc/${pid}/status`, 'utf8'), signal);
  } catch {
    return false;
  }
}

export function maskHas(status: string, signal: number): boolean {
  const bit = 1n << BigInt(signal - 1);
  return ['SigBlk', 'SigIgn', 'SigCgt'].some((name) => {
    const mask = new RegExp(`^${name}:\\s*([0-9a-f]+)$`, 'm').exec(status)?.[1];
    return mask !== undefined && (BigInt(`0x${mask}`) & bit) !== 0n;
  });
}
