// Steps to undo, the last first. One that fails is kept, with those before it, and tried again the next time.
import type { Detach } from './storage.ts';

export class Undo {
  readonly #steps: Detach[] = [];

  /** @param step may be repeated after it has failed */
  add(step: Detach): void {
    this.#steps.push(step);
  }

  async all(): Promise<void> {
    for (let step = this.#steps.at(-1); step !== undefined; step = this.#steps.at(-1)) {
      await step();
      // Another may have been added meanwhile, and comes next.
      this.#steps.splice(this.#steps.indexOf(step), 1);
    }
  }
}
