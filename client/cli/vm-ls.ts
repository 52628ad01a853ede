// `berth vm ls`: the VMs of this user.
import { formatAge } from '../quantity.ts';
import { listVms } from '../vm/named.ts';
import type { VmState } from '../vm/vm-state.ts';
import { writeText } from './fd-output.ts';
import { renderTable } from './table.ts';
import type { Verb } from './verb.ts';

export const vmLs: Verb = {
  name: 'vm ls',
  usage: '[OPTIONS]',
  summary: 'Lists VMs.',
  options: { json: { kind: 'flag', help: 'an array of objects' }, quiet: { kind: 'flag', short: 'q', help: 'names only' } },

  async run(args) {
    const vms = listVms();
    if (args.flag('json')) await writeText(1, `${JSON.stringify(vms, null, 2)}\n`);
    else if (args.flag('quiet')) await writeText(1, vms.map(({ name }) => `${name}\n`).join(''));
    else await writeText(1, vmTable(vms, Date.now()));
    return 0;
  },
};

/** @param now ms since 1970 */
export function vmTable(vms: readonly VmState[], now: number): string {
  const columns = [
    { title: 'VM' },
    { title: 'STATUS' },
    { title: 'WAY' },
    { title: 'MEMORY', align: 'right' as const },
    { title: 'CPUS', align: 'right' as const },
    { title: 'ADDRESS' },
  ];
  return renderTable(
    columns,
    vms.map((vm) => [
      vm.name,
      statusText(vm, now),
      vm.way === undefined ? '-' : `${vm.way}, ${vm.accel}`,
      `${vm.memory}MiB`,
      String(vm.cpus),
      vm.status === 'running' ? (vm.address ?? '-') : '-',
    ]),
  );
}

function statusText({ status, startedAt, exit, consoleLog }: VmState, now: number): string {
  if (status === 'running') return `Up ${formatAge(now - Date.parse(startedAt))}`;
  if (status === 'starting') return 'Starting';
  const how = exit === undefined ? '' : ` (${exit.signal ?? exit.code})`;
  return `Exited${how}, console in ${consoleLog}`;
}
