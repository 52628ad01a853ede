// Everything that happens in the guest, in order: one bounded log, any number of readers with cursors of their own.
// INVARIANT: sequence numbers have no hole; what a reader can't have any more it is told as one `events.missed`.
import type { ContainerEvent } from '../container/container-host.ts';
import { AgentError } from '../errors.ts';
import { unlessAborted } from '../unless-aborted.ts';

/** Events kept for readers that come later or lag behind: a few hundred bytes each. */
export const MAX_EVENTS = 4096;
/** Each waits with a cursor and costs next to nothing, but a client must not make us hold any number. */
const MAX_READERS = 256;

export type NewEvent = ContainerEvent;

export interface GuestEvent extends NewEvent {
  /** 1 for the first since boot. */
  readonly sequence: bigint;
  /** Unix time in ms. */
  readonly at: number;
}

/** Empty lists let everything through. */
export interface EventFilter {
  /** Whole kinds, or families ending in `.`. */
  readonly kinds?: readonly string[];
  readonly containerIds?: readonly string[];
}

export interface ReadEventsOptions {
  readonly from: bigint | 'start' | 'end';
  readonly filter?: EventFilter;
  /** End after what is kept instead of waiting for more. */
  readonly replayOnly?: boolean;
  readonly signal: AbortSignal;
}

export interface EventLogOptions {
  /** The sequence number of the first event to come. */
  readonly first?: bigint;
  readonly now?: () => number;
  readonly keep?: (event: GuestEvent) => void;
}

export class EventLog {
  readonly #events: GuestEvent[] = [];
  readonly #waiting = new Set<() => void>();
  readonly #now: () => number;
  readonly #keep: ((event: GuestEvent) => void) | undefined;
  #next: bigint;
  #readers = 0;

  /** @param options.keep writes each event down, for an agent that comes after this one */
  constructor(options: EventLogOptions = {}) {
    this.#next = options.first ?? 1n;
    this.#now = options.now ?? Date.now;
    this.#keep = options.keep;
  }

  /** Events of an earlier agent, in order and without a hole; before any other. Cursors stay as they were. */
  adopt(events: readonly GuestEvent[]): void {
    this.#events.push(...events.slice(-MAX_EVENTS));
    const last = events.at(-1);
    if (last !== undefined) this.#next = last.sequence + 1n;
  }

  /** The sequence number of the next event. */
  get next(): bigint {
    return this.#next;
  }

  append(event: NewEvent): GuestEvent {
    const appended = { ...event, sequence: this.#next++, at: this.#now() };
    this.#events.push(appended);
    this.#keep?.(appended);
    if (this.#events.length > MAX_EVENTS) this.#events.shift();
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
    return appended;
  }

  /**
   * Events in order, from a cursor on, until the signal ends it.
   * @throws out_of_range for a cursor that no event has had yet; resource_exhausted; the signal's reason
   */
  async *read({ from, filter = {}, replayOnly = false, signal }: ReadEventsOptions): AsyncGenerator<GuestEvent> {
    let cursor = this.position(from);
    if (this.#readers >= MAX_READERS) {
      throw new AgentError('resource_exhausted', `${MAX_READERS} readers follow the events already`, {
        fields: { limit: 'event-readers' },
      });
    }
    this.#readers++;
    try {
      for (;;) {
        signal.throwIfAborted();
        const oldest = this.#events[0]?.sequence ?? this.#next;
        if (cursor < oldest) {
          yield missed(cursor, oldest, this.#now());
          cursor = oldest;
          continue;
        }
        if (cursor === this.#next) {
          if (replayOnly) return;
          await this.#appended(signal);
          continue;
        }
        const event = this.#events[Number(cursor - oldest)]!;
        cursor++;
        if (passes(event, filter)) yield event;
      }
    } finally {
      this.#readers--;
    }
  }

  /** The number of the first event that a reader from there would get. @throws out_of_range for one that no event has had yet */
  position(from: bigint | 'start' | 'end'): bigint {
    if (from === 'end') return this.#next;
    if (from === 'start') return this.#events[0]?.sequence ?? this.#next;
    if (from >= 1n && from <= this.#next) return from;
    throw new AgentError('out_of_range', `sequence ${from}: the next event is ${this.#next}`, {
      fields: { field: 'sequence', wanted: from, next: this.#next },
    });
  }

  #appended(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.add(resolve);
    return unlessAborted(promise, signal).finally(() => this.#waiting.delete(resolve));
  }
}

/** Told under the number of the last one missed, so that a reader that resumes after it goes on where the log does. */
function missed(from: bigint, to: bigint, at: number): GuestEvent {
  return { kind: 'events.missed', sequence: to - 1n, at, fields: { from: `${from}`, to: `${to - 1n}` } };
}

function passes(event: GuestEvent, { kinds = [], containerIds = [] }: EventFilter): boolean {
  if (containerIds.length > 0 && !containerIds.includes(event.containerId ?? '')) return false;
  return kinds.length === 0 || kinds.some((kind) => (kind.endsWith('.') ? event.kind.startsWith(kind) : event.kind === kind));
}
