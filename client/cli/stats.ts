// `berth stats`: what containers use, once. CPU use is measured over a short interval, as `docker stats --no-stream` does.
import { AgentError } from '../../agent/errors.ts';
import type { AgentClient } from '../agent-client.ts';
import { EXIT_BERTH } from '../exit-status.ts';
import { formatBytes } from '../quantity.ts';
import { type ContainerUsage, usageBetween, usageOf } from '../usage.ts';
import { reportError } from './failure.ts';
import { writeText } from './fd-output.ts';
import { renderTable } from './table.ts';
import { openTarget } from './target.ts';
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
    const { agent } = target;
    const ids = args.positionals.length > 0 ? args.positionals : await runningIds(agent);
    const first = new Map<string, Awaited<ReturnType<typeof sample>>>();
    let status = 0;
    for (const id of ids) {
      try {
        first.set(id, await sample(agent, id));
      } catch (error) {
        status = await reportError(error, EXIT_BERTH);
      }
    }
    if (first.size > 0) await new Promise((resolve) => setTimeout(resolve, INTERVAL_MS));
    const usages: ContainerUsage[] = [];
    for (const [id, before] of first) {
      // It may have been removed meanwhile.
      const after = await sample(agent, id).catch(() => before);
      usages.push(usageBetween(id, before, after));
    }
    await writeText(1, args.flag('json') ? `${JSON.stringify(usages, null, 2)}\n` : usageTable(usages));
    return status;
  },
};

async function runningIds(agent: AgentClient): Promise<string[]> {
  const containers = await agent.containers();
  return containers.filter(({ state }) => state === 'running' || state === 'paused').map(({ id }) => id);
}

async function sample(agent: AgentClient, containerId: string) {
  const { cgroupStats } = await agent.kata.statsContainer({ containerId });
  if (cgroupStats === undefined || cgroupStats === null)
    throw new AgentError('internal', `the agent has no figures for container ${containerId}`);
  return usageOf(cgroupStats, performance.now());
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
