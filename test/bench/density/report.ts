// The density bench's figures as text.
import { costOfOne, type Growth } from './growth.ts';
import type { GuestUse, HostUse } from './probe.ts';
import { type MemoryParts, type Part, totalOf } from './smaps-parts.ts';

export interface DensityReport {
  /** MiB given to each guest. */
  readonly memoryMib: number;
  readonly guest: GuestUse;
  /** One for each guest booted. */
  readonly hosts: readonly HostUse[];
  /** Its translated code is not counted among what a pod takes. */
  readonly emulated: boolean;
  readonly growths: readonly Growth[];
}

const PART_NAMES: Readonly<Record<Part, string>> = {
  heap: 'heap, malloc and stacks',
  binary: 'node itself',
  addon: 'the addon',
  shared: 'shared libraries and other files',
  logs: 'logs of streams',
};
const HOSTS_GIB = [4, 16, 64];

export function densityText({ memoryMib, guest, hosts, emulated, growths }: DensityReport): string {
  const taken = hosts.map(({ guestMemory, qemu }) => guestMemory + (emulated ? 0 : qemu));
  const perVm = taken.reduce((sum, kib) => sum + kib, 0) / taken.length;
  const fits = HOSTS_GIB.map((gib) => `${Math.floor((gib * 2 ** 20) / perVm)} in ${gib} GiB`).join(', ');
  return [
    `A sandbox at rest, guest of ${memoryMib} MiB`,
    `  used in the guest (MemTotal less MemAvailable)  ${mib(guest.usedKib)}`,
    `  of the guest's memory in the host               ${hosts.map((host) => mib(host.guestMemory)).join(', ')}`,
    `  QEMU itself                                     ${hosts.map(({ qemu }) => mib(qemu)).join(', ')}`,
    `  pods that fit${emulated ? ", by the guest's memory  " : '                         '}          ${fits}`,
    '',
    'The agent at rest                      PSS    private',
    ...partLines(guest.agent),
    '',
    ...growths.flatMap(growthLines),
  ].join('\n');
}

function partLines(parts: MemoryParts): string[] {
  const line = (name: string, pss: number, dirty: number) =>
    `  ${name.padEnd(34)}${mib(pss).padStart(9)}${mib(dirty).padStart(11)}`;
  const total = totalOf(parts);
  const named = Object.entries(PART_NAMES) as [Part, string][];
  return [
    ...named.map(([part, name]) => line(name, parts[part].pss, parts[part].privateDirty)),
    line('all', total.pss, total.privateDirty),
  ];
}

function growthLines(growth: Growth): string[] {
  const { usedKib, agentKib } = costOfOne(growth);
  return [
    `${growth.kind}: ${usedKib.toFixed(0)} KiB each in the guest, ${agentKib.toFixed(1)} KiB of it the agent's`,
    ...growth.steps.map(
      ({ count, ms, usedKib: used, agentPrivateKib }) =>
        `  ${String(count).padStart(5)}  ${count === 0 ? ''.padStart(10) : `${ms.toFixed(1).padStart(7)} ms`}  used ${mib(used)}, agent ${mib(agentPrivateKib)}`,
    ),
    '',
  ];
}

function mib(kib: number): string {
  return `${(kib / 1024).toFixed(1)} MiB`;
}
