// A bound on how many may do something at a time, first come, first served. Who gives up waiting leaves the queue.
import { AgentError } from '../../errors.ts';

/** Who may wait, whatever the number of slots. */
const MAX_WAITING = 1024;

export class Slots {
  readonly #what: string;
  readonly #waiting = new Set<() => void>();
  #free: number;

  /** @param what for an error's text: `storages that are attached at a time` */
  constructor(count: number, what: string) {
    this.#free = count;
    this.#what = what;
  }

  /** Runs `work` when there is room; with the signal aborted before that, never. @throws the signal's reason, resource_exhausted */
  async run<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    await this.#take(signal);
    try {
      return await work();
    } finally {
      this.#give();
    }
  }

  async #take(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#free > 0) {
      this.#free--;
      return;
    }
    if (this.#waiting.size >= MAX_WAITING) {
      throw new AgentError('resource_exhausted', `more than ${MAX_WAITING} wait for ${this.#what}`, {
        fields: { limit: this.#what },
      });
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const enter = () => resolve();
    const leave = () => {
      this.#waiting.delete(enter);
      reject(signal.reason);
    };
    this.#waiting.add(enter);
    signal.addEventListener('abort', leave, { once: true });
    await promise.finally(() => signal.removeEventListener('abort', leave));
  }

  /** The slot goes from hand to hand: it is not free in between. */
  #give(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#free++;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}
