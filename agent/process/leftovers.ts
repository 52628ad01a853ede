// What an earlier agent had started for itself and not waited for to the end: calls of crun, of the launcher and of other tools. They
// are PID 1's children by now and go on; only when they have ended does it show what became of them.
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../log.ts';
import { killPid } from './kill-pid.ts';

/** A call takes milliseconds; one that hangs in the kernel hangs on. */
const PATIENCE_MS = 5_000;
/** Between two looks: doubles from the first to the last, so as not to take the processor from what is waited for. */
const FIRST_LOOK_MS = 2;
const LAST_LOOK_MS = 100;

/** Resolves when none is left; those that take too long are killed. @param known pids that are none */
export async function awaitLeftovers(known: ReadonlySet<number>, log: Logger): Promise<void> {
  const own = await cgroupOf('self');
  const deadline = performance.now() + PATIENCE_MS;
  for (let pauseMs = FIRST_LOOK_MS; ; pauseMs = Math.min(2 * pauseMs, LAST_LOOK_MS)) {
    const left = await findLeftovers(known, own);
    if (left.length === 0) return;
    if (performance.now() < deadline) {
      await sleep(pauseMs);
      continue;
    }
    log.warn('killed what an earlier agent had left running', { pids: left.join(' ') });
    for (const pid of left) killPid(pid);
    return;
  }
}

/** Children of our own parent, in our own cgroup: what is to live on has a cgroup of its own, or a session. */
async function findLeftovers(known: ReadonlySet<number>, own: string | undefined): Promise<number[]> {
  const children = await readChildren(process.ppid);
  const found: number[] = [];
  for (const pid of children) {
    if (pid === process.pid || known.has(pid)) continue;
    const [stat, cgroup] = await Promise.all([read(`/proc/${pid}/stat`), cgroupOf(`${pid}`)]);
    const [state, parent, , session] = stat?.slice(stat.lastIndexOf(')') + 2).split(' ') ?? [];
    if (state === undefined || state === 'Z' || Number(parent) !== process.ppid || cgroup !== own || Number(session) === pid)
      continue;
    found.push(pid);
  }
  return found;
}

async function readChildren(parent: number): Promise<number[]> {
  const list = await read(`/proc/${parent}/task/${parent}/children`);
  if (list !== undefined) return list.split(' ').filter(Boolean).map(Number);
  // A kernel without CONFIG_PROC_CHILDREN: whoever it may be.
  return (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
}

async function cgroupOf(pid: string): Promise<string | undefined> {
  return (await read(`/proc/${pid}/cgroup`))?.split('\n').find((line) => line.startsWith('0::'));
}

function read(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(() => undefined);
}
