// What a pod costs, seen from inside the guest and from the host.
import { readdir, readFile } from 'node:fs/promises';
import type { AgentClient } from '../../../client/agent-client.ts';
import { runInGuest } from '../../support/guest-resources.ts';
import { FIND_AGENT } from '../guest/agent-probe.ts';
import { addUpParts, type MemoryParts } from './smaps-parts.ts';

export interface GuestUse {
  /** MemTotal less MemAvailable, KiB. */
  readonly usedKib: number;
  readonly agent: MemoryParts;
}

const SEPARATOR = '===';

/** The look costs a program in the guest, which is gone when the figures are read by the next one. */
export async function guestUse(client: AgentClient, settleSeconds = 0): Promise<GuestUse> {
  const script = `${FIND_AGENT} sleep ${settleSeconds}; cat /proc/meminfo; echo ${SEPARATOR}; cat /proc/$agent/smaps`;
  const [meminfo = '', smaps = ''] = (await runInGuest(client, ['sh', '-c', script])).split(`${SEPARATOR}\n`);
  const kib = (name: string) => {
    const value = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(meminfo)?.[1];
    if (value === undefined) throw new Error(`meminfo has no ${name}: ${meminfo.slice(0, 80)}`);
    return Number(value);
  };
  return { usedKib: kib('MemTotal') - kib('MemAvailable'), agent: addUpParts(smaps) };
}

/** PSS of QEMU and of the device process beside it, which map the same memory. KiB. */
export async function hostUse(qemu: number): Promise<number> {
  const sockets = await sharers(qemu);
  const sizes = await Promise.all([qemu, ...sockets].map(pssOf));
  return sizes.reduce((sum, kib) => sum + kib, 0);
}

/** Processes that have the guest's memory file mapped, besides QEMU. */
async function sharers(qemu: number): Promise<number[]> {
  const inode = (await readFile(`/proc/${qemu}/maps`, 'utf8')).match(/ (\d+)\s+\/memfd:memory-backend-memfd/)?.[1];
  if (inode === undefined) return [];
  const pids = (await readdir('/proc')).map(Number).filter((pid) => pid > 0 && pid !== qemu);
  const maps = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/maps`, 'utf8').catch(() => '')));
  return pids.filter((_, at) => maps[at]!.includes(` ${inode} `) && maps[at]!.includes('/memfd:memory-backend-memfd'));
}

async function pssOf(pid: number): Promise<number> {
  const rollup = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8');
  return Number(/^Pss:\s+(\d+) kB$/m.exec(rollup)?.[1]);
}
