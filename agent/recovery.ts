// An agent that comes after another: what that one wrote down is read before anything is built, and taken over once this one listens.

import { AgentError } from './errors.ts';
import type { JournalRecord } from './keeper/journal-format.ts';
import type { LoadedJournal } from './keeper/journal-load.ts';
import { loadJournal } from './keeper/journal-load.ts';
import { loadRing } from './keeper/record-ring.ts';
import type { GuestEvent } from './sandbox/event-log.ts';
import { type RecoveryHost, recover } from './sandbox/recover.ts';

const EVENTS_RING = 'events';
/** A call that comes while the agent takes over waits so long at most. */
const CALLS_WAIT_MS = 20_000;

export interface Earlier {
  readonly journal: LoadedJournal | undefined;
  readonly events: readonly GuestEvent[];
  readonly eventsEpoch: bigint;
}

export async function readEarlier(stateDir: string): Promise<Earlier> {
  const [journal, ring] = await Promise.all([loadJournal(stateDir), loadRing(stateDir, EVENTS_RING)]);
  return { journal, events: withoutHoles(ring.records), eventsEpoch: ring.epoch };
}

export interface Takeover {
  /** Resolves once what exists is known. @throws unavailable when that takes too long */
  known(): Promise<void>;
  /** Why it may not be all; '' when it is. */
  readonly degraded: string;
}

/** Never rejects by itself. */
export function takeOver(host: RecoveryHost, journal: LoadedJournal): Takeover {
  let done = false;
  let degraded = '';
  const running = recover(host, journal).then((reason) => {
    degraded = reason;
    done = true;
  });
  return {
    known: () => (done ? Promise.resolve() : withinTime(running)),
    get degraded() {
      return degraded;
    },
  };
}

function withinTime(running: Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    const text = 'the agent was restarted and is still taking over what an earlier one left';
    const timer = setTimeout(() => reject(new AgentError('unavailable', text)), CALLS_WAIT_MS);
    void running.then(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** The newest of them that follow each other: a reader is told of what is missing before. */
function withoutHoles(records: readonly JournalRecord[]): GuestEvent[] {
  const events = records.map(({ value }) => value as GuestEvent);
  let from = events.length;
  while (from > 0 && (from === events.length || events[from - 1]!.sequence + 1n === events[from]!.sequence)) from--;
  return events.slice(from);
}
