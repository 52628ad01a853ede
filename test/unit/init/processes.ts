// Looks at the process table for the tests of berth-init.
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

/** Resolves when no process, not even a zombie, has the pid. */
export async function untilGone(pid: number): Promise<void> {
  while ((await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)) !== undefined) await sleep(5);
}

/** Resolves when the process is dead with all its threads, so that it can be reaped or has been. */
export async function untilDead(pid: number): Promise<void> {
  while (/\) [^Z]/.test(await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ''))) await sleep(5);
  while ((await readdir(`/proc/${pid}/task`).catch(() => [])).length > 1) await sleep(5);
}

/** Direct children of a process, zombies (state Z) included. */
export async function childrenOf(parent: number): Promise<{ pid: number; state: string }[]> {
  const children: { pid: number; state: string }[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '');
    const [state, ppid] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (Number(ppid) === parent) children.push({ pid: Number(name), state: state! });
  }
  return children;
}

export async function openFds(pid: number): Promise<number> {
  return (await readdir(`/proc/${pid}/fd`)).length;
}

/** A number of kB out of /proc/pid/status, such as VmData. */
export async function statusKb(pid: number, field: string): Promise<number> {
  const line = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(await readFile(`/proc/${pid}/status`, 'utf8'));
  if (line === null) throw new Error(`no ${field} in the status of ${pid}`);
  return Number(line[1]);
}
