// Keeps a copy equal to what the host shows, by looking every two seconds (kata-agent.md §5.5), until it is stopped or there
// is more than can be copied.
import { setTimeout as sleep } from 'node:timers/promises';
import { describeError } from '../../../errors.ts';
import { Lane } from '../../../guest/lane.ts';
import type { Logger } from '../../../log.ts';
import { type Snapshot, sameContent, TooMuch, takeSnapshot } from './snapshot.ts';

export const POLL_MS = 2_000;
/** How often a source that changes while it is read is read again before the next turn. */
const ATTEMPTS = 3;
/** Looks at a time: each takes a thread of libuv's, of 16, and a host that has died lets it hang. */
const looks = new Lane({ name: 'watched-sources', width: 2, maxWaiting: 1024 });

export interface WatchOptions {
  readonly source: string;
  readonly target: string;
  readonly mirror: (target: string, before: Snapshot, now: Snapshot) => Promise<void>;
  /** Called once when the source has grown too large; nothing is copied any more. */
  readonly onTooMuch: (problem: string) => Promise<void>;
  readonly log: Logger | undefined;
  readonly pollMs?: number;
}

export class Watch {
  readonly #options: WatchOptions;
  readonly #stopping = new AbortController();
  #copied: Snapshot = new Map();
  /** The copying under way, or what takes its place: `stop` waits for it. Looking holds up nobody. */
  #copying: Promise<void> = Promise.resolve();
  #problem: string | undefined;

  constructor(options: WatchOptions) {
    this.#options = options;
  }

  /** The first copy. @throws TooMuch; not_found without a source */
  async begin(): Promise<void> {
    await this.#update(this.#stopping.signal);
    void this.#run();
  }

  /** Goes on with a copy that is there. @param copied what it holds */
  goOn(copied: Snapshot): void {
    this.#copied = withoutContent(copied);
    void this.#run();
  }

  /** Nothing is written once this has resolved. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#copying.catch(() => {});
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    const { pollMs = POLL_MS, onTooMuch } = this.#options;
    while (!signal.aborted) {
      try {
        await sleep(pollMs, undefined, { signal, ref: false });
        await this.#update(signal);
        this.#problem = undefined;
      } catch (error) {
        if (signal.aborted) return;
        this.#tell(error);
        if (!(error instanceof TooMuch)) continue;
        this.#copying = onTooMuch(error.message).catch((failure: unknown) => this.#tell(failure));
        return;
      }
    }
  }

  async #update(signal: AbortSignal): Promise<void> {
    const { source, target, mirror } = this.#options;
    const now = await looks.run(() => this.#look(source), signal);
    if (now === undefined || signal.aborted) return;
    this.#copying = mirror(target, this.#copied, now);
    await this.#copying;
    this.#copied = withoutContent(now);
  }

  /** A source that stood still while it was read, or undefined: nothing new, or not yet. */
  async #look(source: string): Promise<Snapshot | undefined> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const seen = await takeSnapshot(source, this.#copied);
      if (this.#copied.size > 0 && sameContent(seen, this.#copied)) return undefined;
      const after = await takeSnapshot(source, seen);
      if (sameContent(seen, after)) return seen;
    }
    this.#options.log?.debug('a watched source keeps changing', { source });
    return undefined;
  }

  /** Each problem once: it comes back every two seconds. */
  #tell(error: unknown): void {
    const text = describeError(error);
    if (text === this.#problem) return;
    this.#problem = text;
    this.#options.log?.warn('a watched source is not copied', { source: this.#options.source, error });
  }
}

function withoutContent(snapshot: Snapshot): Snapshot {
  return new Map([...snapshot].map(([path, entry]) => [path, { ...entry, content: undefined }]));
}
