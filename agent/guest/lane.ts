// A bound on the threads that one kind of file operation can hold: what hangs in the kernel holds a thread of libuv's pool
// until it comes back, and the pool is all there is for the files of the whole agent.
import { AgentError } from '../errors.ts';

export interface LaneOptions {
  /** For the refusal: `file-copies`. */
  name: string;
  /** Operations at a time. All lanes together stay below the pool (UV_THREADPOOL_SIZE, 16 in the guest). */
  width: number;
  /** Operations that may wait for their turn. */
  maxWaiting: number;
}

export class Lane {
  readonly #options: LaneOptions;
  readonly #waiting = new Set<() => void>();
  #running = 0;

  constructor(options: LaneOptions) {
    this.#options = options;
  }

  /**
   * Runs `work` when its turn comes, first come, first served; never, if the signal is aborted before that.
   * @throws resource_exhausted when too many wait; the signal's reason
   */
  async run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted();
    await this.#enter(signal);
    try {
      return await work();
    } finally {
      const [next] = this.#waiting;
      // Whoever comes next has this place.
      if (next === undefined) this.#running--;
      else next();
    }
  }

  #enter(signal: AbortSignal | undefined): Promise<void> | undefined {
    const { name, width, maxWaiting } = this.#options;
    if (this.#running < width) {
      this.#running++;
      return undefined;
    }
    if (this.#waiting.size >= maxWaiting) {
      throw new AgentError('resource_exhausted', `more than ${maxWaiting} operations wait (${name})`, {
        fields: { limit: name },
      });
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const leave = () => {
      this.#waiting.delete(enter);
      signal?.removeEventListener('abort', giveUp);
    };
    const enter = () => {
      leave();
      resolve();
    };
    const giveUp = () => {
      leave();
      reject(signal?.reason);
    };
    this.#waiting.add(enter);
    signal?.addEventListener('abort', giveUp, { once: true });
    return promise;
  }
}
