// What a pod costs, seen from inside the guest and from the host.
import { readFile } from 'node:fs/promises';
import type { AgentClient } from '../../../client/kata/agent-client.ts';
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

/** KiB of host memory. */
export interface HostUse {
  /** Of the guest's memory, what it has touched and not given back. */
  readonly guestMemory: number;
  /** What QEMU needs for itself; under emulation that is mostly translated code. */
  readonly qemu: number;
}

/** @param pid QEMU's */
export async function hostUse(pid: number): Promise<HostUse> {
  let guestMemory = 0;
  let qemu = 0;
  let ofGuest = false;
  for (const line of (await readFile(`/proc/${pid}/smaps`, 'utf8')).split('\n')) {
    if (/^[0-9a-f]+-[0-9a-f]+ /.test(line)) ofGuest = line.includes('/memfd:memory-backend-memfd');
    // The guest's memory is mapped by the device process as well, so that its PSS would be a part of it only.
    const [, field, kib] = /^(Rss|Pss):\s+(\d+) kB$/.exec(line) ?? [];
    if (ofGuest && field === 'Rss') guestMemory += Number(kib);
    else if (!ofGuest && field === 'Pss') qemu += Number(kib);
  }
  return { guestMemory, qemu };
}
