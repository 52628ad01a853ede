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
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(options: LaneOptions) {
    this.#options = options;
  }

  /** Runs `work` when its turn comes, first come, first served. @throws resource_exhausted when too many wait */
  async run<T>(work: () => Promise<T>): Promise<T> {
    await this.#enter();
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      // Whoever comes next has this place.
      if (next === undefined) this.#running--;
      else next();
    }
  }

  #enter(): Promise<void> | undefined {
    const { name, width, maxWaiting } = this.#options;
    if (this.#running < width) {
      this.#running++;
      return undefined;
    }
    if (this.#waiting.length >= maxWaiting) {
      throw new AgentError('resource_exhausted', `more than ${maxWaiting} operations wait (${name})`, {
        fields: { limit: name },
      });
    }
    return new Promise((enter) => this.#waiting.push(enter));
  }
}
