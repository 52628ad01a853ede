// `berth ps`: the containers of a VM.
import type { ContainerInfo } from '../api/container-info.ts';
import { formatAge } from '../quantity.ts';
import { isUp, listContainers } from './container-list.ts';
import { writeText } from './fd-output.ts';
import { renderTable } from './table.ts';
import { openTarget } from './target.ts';
import { TARGET_OPTIONS, type Verb } from './verb.ts';

const COMMAND_WIDTH = 40;

export const ps: Verb = {
  name: 'ps',
  usage: '[OPTIONS]',
  summary: 'Lists containers.',
  options: {
    ...TARGET_OPTIONS,
    all: { kind: 'flag', short: 'a', help: 'those that have not been started or have ended as well' },
    quiet: { kind: 'flag', short: 'q', help: 'names only' },
    json: { kind: 'flag', help: 'an array of objects' },
  },

  async run(args) {
    await using target = await openTarget(args, {});
    const containers = (await listContainers(target.guest)).filter((container) => args.flag('all') || isUp(container));
    if (args.flag('json')) await writeText(1, `${JSON.stringify(containers, null, 2)}\n`);
    else if (args.flag('quiet')) await writeText(1, containers.map(({ id }) => `${id}\n`).join(''));
    else await writeText(1, containerTable(containers, Date.now()));
    return 0;
  },
};

/** @param now ms since 1970; ages are by the guest's clock, which follows the host's */
export function containerTable(containers: readonly ContainerInfo[], now: number): string {
  const columns = [
    { title: 'CONTAINER' },
    { title: 'COMMAND' },
    { title: 'CREATED' },
    { title: 'STATUS' },
    { title: 'PID', align: 'right' as const },
  ];
  return renderTable(
    columns,
    containers.map((container) => [
      container.id,
      commandText(container.args),
      `${formatAge(now - container.createdAt)} ago`,
      statusText(container, now),
      container.pid === 0 ? '-' : String(container.pid),
    ]),
  );
}

function commandText(args: readonly string[]): string {
  const text = args.map((arg) => (/^[\w@%+=:,./-]+$/.test(arg) ? arg : JSON.stringify(arg))).join(' ');
  return text.length > COMMAND_WIDTH ? `${text.slice(0, COMMAND_WIDTH - 3)}...` : text;
}

function statusText({ state, startedAt, exitStatus }: ContainerInfo, now: number): string {
  const up = startedAt === undefined ? '' : ` ${formatAge(now - startedAt)}`;
  if (state === 'running') return `Up${up}`;
  if (state === 'paused') return `Up${up} (Paused)`;
  if (state === 'stopped') return `Exited (${exitStatus ?? '?'})`;
  return 'Created';
}
