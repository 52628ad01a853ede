// Orders the work on one container: many readers (exec, stats) or one writer (start, pause, remove) at a time,
// first come, first served.
// INVARIANTS: never take a gate inside the work of another; whoever waits is bounded in number.
import { AgentError } from '../errors.ts';

/** Calls that may wait for one container. */
const MAX_WAITING = 256;

interface Waiting {
  exclusive: boolean;
  enter(): void;
}

export class Gate {
  readonly #waiting: Waiting[] = [];
  #readers = 0;
  #writing = false;

  /** Runs `work` beside other shared work, never beside exclusive work. @throws resource_exhausted */
  shared<T>(work: () => Promise<T>): Promise<T> {
    return this.#run(false, work);
  }

  /** Runs `work` alone. @throws resource_exhausted */
  exclusive<T>(work: () => Promise<T>): Promise<T> {
    return this.#run(true, work);
  }

  async #run<T>(exclusive: boolean, work: () => Promise<T>): Promise<T> {
    if (this.#waiting.length >= MAX_WAITING) {
      throw new AgentError('resource_exhausted', `more than ${MAX_WAITING} calls wait for this container`, {
        fields: { limit: 'calls-per-container' },
      });
    }
    await new Promise<void>((enter) => {
      this.#waiting.push({ exclusive, enter });
      this.#admit();
    });
    try {
      return await work();
    } finally {
      if (exclusive) this.#writing = false;
      else this.#readers--;
      this.#admit();
    }
  }

  #admit(): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (this.#writing || (next.exclusive && this.#readers > 0)) return;
      this.#waiting.shift();
      if (next.exclusive) this.#writing = true;
      else this.#readers++;
      next.enter();
    }
  }
}
