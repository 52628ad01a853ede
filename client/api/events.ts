// The guest's events as one sequence: each once and in order, also when the connection breaks in between.
import type { berth } from '#proto/berth.js';
import { type Ending, endingOf } from './ending.ts';
import type { Link } from './link.ts';
import { EVENTS } from './methods.ts';

/** Which events of a guest are wanted. */
export interface EventsOptions {
  /** A number to go on after, the oldest that is kept, or only what comes from now on (the default). */
  readonly after?: bigint | 'start' | 'now';
  /** Whole kinds (`container.created`) or families (`container.`). */
  readonly kinds?: readonly string[];
  readonly containerIds?: readonly string[];
  /** End after what is kept. */
  readonly replayOnly?: boolean;
  readonly signal?: AbortSignal;
}

/** Something that has happened in a guest. */
export interface GuestEvent {
  /** Grows by one with each event of the guest; a filter leaves numbers out. */
  readonly sequence: bigint;
  readonly at: Date;
  /** All kinds are listed in proto/berth/v1/events.proto. */
  readonly kind: string;
  readonly containerId?: string;
  readonly processId?: string;
  readonly ending?: Ending;
  readonly client?: { readonly id: string; readonly name: string };
  readonly fields: Readonly<Record<string, string>>;
}

export async function* followEvents(link: Link, options: EventsOptions): AsyncGenerator<GuestEvent> {
  const { after = 'now', kinds = [], containerIds = [], replayOnly = false, signal } = options;
  let next = typeof after === 'bigint' ? after + 1n : after;
  let bootId = '';
  for (;;) {
    try {
      const stream = await link.stream(EVENTS.watch, signal === undefined ? {} : { signal });
      const from = typeof next === 'bigint' ? { sequence: next } : next === 'start' ? { start: true } : { end: true };
      await stream.send({ ...from, bootId, kinds: [...kinds], containerIds: [...containerIds], replayOnly });
      stream.end();
      for await (const event of stream) {
        next = event.sequence + 1n;
        bootId = event.bootId;
        if (event.kind !== 'events.watching') yield toEvent(event);
      }
      if (replayOnly) return;
    } catch (error) {
      if (signal?.aborted) return;
      if (!link.mayResume(error)) throw error;
    }
  }
}

function toEvent({ sequence, unixMs, kind, ref, exit, clientId, clientName, fields }: berth.v1.Event): GuestEvent {
  return {
    sequence,
    at: new Date(Number(unixMs)),
    kind,
    ...(ref ? { containerId: ref.containerId ?? '', processId: ref.processId ?? '' } : {}),
    ...(exit ? { ending: endingOf(exit) } : {}),
    ...(clientId === '' ? {} : { client: { id: clientId, name: clientName } }),
    fields,
  };
}
