// /proc/PID/smaps_rollup (man 5 proc_pid_smaps) as far as the bench reports it.

export interface MemoryUse {
  /** Private and written to: what the process alone costs. Clean file pages are the page cache's. MiB. */
  privateMiB: number;
  /** Shared pages counted in proportion, MiB. */
  pssMiB: number;
}

/** @throws Error when a field is not there */
export function parseSmapsRollup(text: string): MemoryUse {
  return { privateMiB: field(text, 'Private_Dirty'), pssMiB: field(text, 'Pss') };
}

function field(text: string, name: string): number {
  const kib = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1];
  if (kib === undefined) throw new Error(`smaps_rollup has no ${name}: ${text.slice(0, 80)}`);
  return Number(kib) / 1024;
}
