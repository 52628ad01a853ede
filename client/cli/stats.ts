// `berth stats`: what containers use, once. CPU use is measured over a short interval, as `docker stats --no-stream` does.
import type { berth } from '#proto/berth.js';
import { AgentError } from '../../agent/errors.ts';
import type { Guest } from '../api/guest.ts';
import { EXIT_BERTH } from '../exit-status.ts';
import { formatBytes } from '../quantity.ts';
import { isUp, listContainers } from './container-list.ts';
import { reportError } from './failure.ts';
import { writeText } from './fd-output.ts';
import { renderTable } from './table.ts';
import { openTarget } from './target.ts';
import { type ContainerUsage, usageBetween } from './usage.ts';
import { TARGET_OPTIONS, type Verb } from './verb.ts';

/** Long enough for a figure, short enough to wait for. */
const INTERVAL_MS = 500;

export const stats: Verb = {
  name: 'stats',
  usage: '[OPTIONS] [CONTAINER...]',
  summary: 'Shows what containers use.',
  options: {
    ...TARGET_OPTIONS,
    json: { kind: 'flag', help: 'an array of objects; sizes in bytes' },
    'no-stream': { kind: 'flag', help: 'once, which is all that berth does; for scripts written for docker' },
  },

  async run(args) {
    await using target = await openTarget(args, {});
    const { guest } = target;
    const ids = args.positionals.length > 0 ? args.positionals : await runningIds(guest);
    const results = await Promise.allSettled(ids.map((id) => measure(guest, id)));
    let status = 0;
    for (const result of results) if (result.status === 'rejected') status = await reportError(result.reason, EXIT_BERTH);
    const usages = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    await writeText(1, args.flag('json') ? `${JSON.stringify(usages, null, 2)}\n` : usageTable(usages));
    return status;
  },
};

async function runningIds(guest: Guest): Promise<string[]> {
  return (await listContainers(guest)).filter(isUp).map(({ id }) => id);
}

async function measure(guest: Guest, id: string): Promise<ContainerUsage> {
  let before: berth.v1.ContainerStats | undefined;
  for await (const figures of guest.container(id).stats({ everyMs: INTERVAL_MS })) {
    if (before !== undefined) return usageBetween(id, before, figures);
    before = figures;
  }
  // It was removed meanwhile.
  if (before === undefined) throw new AgentError('internal', `the agent has no figures for container ${id}`);
  return usageBetween(id, before, before);
}

export function usageTable(usages: readonly ContainerUsage[]): string {
  const right = (title: string) => ({ title, align: 'right' as const });
  const columns = [
    { title: 'CONTAINER' },
    right('CPU %'),
    right('MEM USAGE / LIMIT'),
    right('MEM %'),
    right('BLOCK I/O'),
    right('PIDS'),
  ];
  return renderTable(
    columns,
    usages.map((usage) => [
      usage.id,
      `${usage.cpuPercent.toFixed(2)}%`,
      `${formatBytes(usage.memoryBytes)} / ${usage.memoryLimitBytes === undefined ? 'none' : formatBytes(usage.memoryLimitBytes)}`,
      usage.memoryLimitBytes === undefined ? '-' : `${((usage.memoryBytes / usage.memoryLimitBytes) * 100).toFixed(2)}%`,
      `${formatBytes(usage.blockReadBytes)} / ${formatBytes(usage.blockWriteBytes)}`,
      String(usage.pids),
    ]),
  );
}
