// `berth top`: what the agent of a guest is doing, again and again.
import type { berth } from '#proto/berth.js';
import { AgentError } from '../../agent/errors.ts';
import { formatAge, formatBytes } from '../quantity.ts';
import type { Arguments } from './arguments.ts';
import { writeText } from './fd-output.ts';
import { renderTable } from './table.ts';
import { openTarget } from './target.ts';
import { TARGET_OPTIONS, type Verb } from './verb.ts';

type Top = berth.v1.TopResponse;

/** ECMA-48: to the upper left, and everything from there on cleared. */
const HOME_AND_CLEAR = '\u001b[H\u001b[J';

export const top: Verb = {
  name: 'top',
  usage: '[OPTIONS]',
  summary: "Shows what a VM's agent is doing.",
  description: 'Its connections, the output it holds, and what each reader waits for; on a terminal drawn again and again.',
  options: {
    ...TARGET_OPTIONS,
    interval: { kind: 'text', value: 'SECONDS', help: 'between two looks (default 1)' },
    once: { kind: 'flag', help: 'one look, then end' },
    json: { kind: 'flag', help: 'an object a line; sizes in bytes' },
  },

  async run(args) {
    const intervalMs = args.flag('once') ? 0 : readInterval(args);
    await using target = await openTarget(args, {});
    const { guest } = target;
    const before = process.stdout.isTTY && intervalMs > 0 ? HOME_AND_CLEAR : '';
    let shown = false;
    for await (const look of guest.top({ intervalMs })) {
      if (args.flag('json')) await writeText(1, `${JSON.stringify(look, plainNumbers)}\n`);
      else await writeText(1, `${before || (shown ? '\n' : '')}${topText(look)}`);
      shown = true;
    }
    return 0;
  },
};

function readInterval(args: Arguments): number {
  const text = args.text('interval') ?? '1';
  const ms = /^\d{1,2}(\.\d{1,3})?$/.test(text) ? Math.round(Number(text) * 1000) : 0;
  if (ms >= 100 && ms <= 60_000) return ms;
  throw new AgentError('invalid_argument', `invalid --interval '${text}': give seconds from 0.1 to 60`, {
    fields: { field: 'interval' },
  });
}

/** Sizes are far below 2^53. */
function plainNumbers(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? Number(value) : value;
}

function topText(look: Top): string {
  const { uptimeMs, heapBytes, residentBytes, loopDelayMaxMs, logBytes, tunnels } = look;
  const head = [
    `up ${formatAge(Number(uptimeMs))}`,
    `heap ${formatBytes(heapBytes)}`,
    `resident ${formatBytes(residentBytes)}`,
    `loop delay ${loopDelayMaxMs.toFixed(1)} ms`,
    `logs ${formatBytes(logBytes)}`,
    `${tunnels} ${tunnels === 1 ? 'tunnel' : 'tunnels'}`,
  ];
  const streams = look.streams.length === 0 ? '' : `\n${streamTable(look)}`;
  return `${head.join(', ')}\n\n${clientTable(look)}${streams}`;
}

const right = (title: string) => ({ title, align: 'right' as const });

function clientTable({ clients }: Top): string {
  const columns = [
    { title: 'CLIENT' },
    { title: 'NAME' },
    { title: 'PROTOCOL' },
    { title: 'PEER' },
    right('CALLS'),
    right('STREAMS'),
    right('IN FLIGHT'),
    right('SENT'),
  ];
  return renderTable(
    columns,
    clients.map(({ id, name, protocol, peer, calls, streams, inFlightBytes, sentBytes }) => [
      id ?? '',
      name || '-',
      protocol ?? '',
      peer ?? '',
      String(calls ?? 0),
      String(streams ?? 0),
      formatBytes(inFlightBytes ?? 0n),
      formatBytes(sentBytes ?? 0n),
    ]),
  );
}

/** A line for each reader; a stream that has none has one as well. */
function streamTable({ streams }: Top): string {
  const columns = [
    { title: 'PROCESS' },
    { title: 'STREAM' },
    right('HELD'),
    { title: 'WAITS FOR' },
    { title: 'READER' },
    right('BEHIND'),
    { title: 'WAITS FOR' },
  ];
  const rows = streams.flatMap(({ containerId, processId, stream, heldBytes, waitsFor, readers }) => {
    const name = containerId ? (processId ? `${containerId}/${processId}` : containerId) : `/${processId}`;
    const of = [name, stream ?? '', formatBytes(heldBytes ?? 0n), waitsFor ?? ''];
    if (!readers?.length) return [[...of, '-', '', '']];
    return readers.map((reader) => [
      ...of,
      `${reader.clientId || 'kata'}${reader.primary ? ' (primary)' : ''}`,
      formatBytes(reader.behindBytes ?? 0n),
      reader.waitsFor ?? '',
    ]);
  });
  return renderTable(columns, rows);
}
