// `berth events`: what happens in a guest, as it happens and from any number on.
import { AgentError } from '../../agent/errors.ts';
import { exitStatus } from '../api/ending.ts';
import type { EventsOptions, GuestEvent } from '../api/events.ts';
import { printable, writeText } from './fd-output.ts';
import { nameOf } from './process-name.ts';
import { openTarget } from './target.ts';
import { TARGET_OPTIONS, type Verb } from './verb.ts';

export const events: Verb = {
  name: 'events',
  usage: '[OPTIONS]',
  summary: 'Shows what happens in a VM.',
  description:
    'Time, number, kind and what it is about, an event a line, until interrupted. Each has a number: --since N goes on after it.\n' +
    'A lost connection loses none and repeats none.',
  options: {
    ...TARGET_OPTIONS,
    filter: { kind: 'list', short: 'f', value: 'KIND', help: 'only this kind (container.created) or family (container.)' },
    container: { kind: 'list', value: 'NAME', help: 'only of this container' },
    since: { kind: 'text', value: 'NUMBER', help: 'begin after this event, or with `start` at the oldest that is kept' },
    follow: {
      kind: 'flag',
      on: true,
      help: '(default) --no-follow ends after what is kept, from the oldest unless --since tells',
    },
    json: { kind: 'flag', help: 'an object a line' },
  },

  async run(args) {
    if (args.positionals.length > 0) {
      throw new AgentError('invalid_argument', `'${args.positionals[0]}' is too much; name a container with --container`);
    }
    const replayOnly = !args.flag('follow');
    const options: EventsOptions = {
      after: readCursor(args.text('since'), replayOnly),
      kinds: args.list('filter'),
      containerIds: args.list('container'),
      replayOnly,
    };
    await using target = await openTarget(args, {});
    for await (const event of target.guest.events(options)) {
      await writeText(1, args.flag('json') ? `${JSON.stringify(eventRow(event))}\n` : eventLine(event));
    }
    return 0;
  },
};

function readCursor(text: string | undefined, replayOnly: boolean): bigint | 'start' | 'now' {
  if (text === undefined) return replayOnly ? 'start' : 'now';
  if (text === 'start') return text;
  if (/^\d{1,18}$/.test(text)) return BigInt(text);
  throw new AgentError('invalid_argument', `invalid --since '${text}': give the number of an event, or start`, {
    fields: { field: 'since' },
  });
}

function eventLine({ at, sequence, kind, containerId, processId, ending, fields, client }: GuestEvent): string {
  const about = containerId || processId ? nameOf({ containerId: containerId ?? '', processId: processId ?? '' }) : '-';
  const more = [
    ...(ending === undefined ? [] : [`status=${exitStatus(ending)}`]),
    ...Object.entries(fields).map(([name, value]) => `${name}=${/^[\w@%+:,./-]+$/.test(value) ? value : JSON.stringify(value)}`),
    ...(client === undefined ? [] : [`client=${client.id}${client.name === '' ? '' : `(${client.name})`}`]),
  ];
  return `${printable([at.toISOString(), sequence, kind, about, ...more].join(' '))}\n`;
}

/** Numbers of events fit a double for as long as a guest lives. */
function eventRow({ sequence, ...event }: GuestEvent): object {
  return { sequence: Number(sequence), ...event };
}
