// berth.v1.Events: the log of what happens in the guest, from a cursor on.
import { berth } from '#proto/berth.js';
import type { Method } from '../../rpc/service.ts';
import type { Clients } from '../../sandbox/clients.ts';
import type { EventLog, GuestEvent } from '../../sandbox/event-log.ts';
import { exitMessage } from './exit-message.ts';
import { berthService } from './method.ts';

const v1 = berth.v1;

export function eventMethods(log: EventLog, clients: Clients, bootId: () => Promise<string>): Method[] {
  const { serverStream } = berthService('Events', clients);
  return [
    serverStream('Watch', v1.WatchEventsRequest, v1.Event, async function* (request, { signal }) {
      const boot = await bootId();
      const { kinds, containerIds, replayOnly } = request;
      // A cursor of another boot names nothing here: its reader sees a first number that does not follow its last.
      const otherBoot = request.bootId !== '' && request.bootId !== boot;
      const from = log.position(otherBoot ? 'start' : cursorOf(request));
      yield eventMessage({ kind: 'events.watching', sequence: from - 1n, at: Date.now() }, boot);
      for await (const event of log.read({ from, filter: { kinds, containerIds }, replayOnly, signal }))
        yield eventMessage(event, boot);
    }),
  ];
}

function cursorOf({ from, sequence, start }: berth.v1.WatchEventsRequest): bigint | 'start' | 'end' {
  if (from === 'sequence') return sequence ?? 0n;
  return from === 'start' && start ? 'start' : 'end';
}

function eventMessage(event: GuestEvent, bootId: string): berth.v1.Event.$Properties {
  const about = event.containerId !== undefined || event.processId !== undefined;
  return {
    sequence: event.sequence,
    unixMs: BigInt(event.at),
    kind: event.kind,
    ...(about ? { ref: { containerId: event.containerId ?? '', processId: event.processId ?? '' } } : {}),
    ...(event.exit === undefined ? {} : { exit: exitMessage(event.exit) }),
    clientId: event.client?.id ?? '',
    clientName: event.client?.name ?? '',
    fields: { ...event.fields },
    bootId,
  };
}
