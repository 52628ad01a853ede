// One mount point of the table: what is attached there, how many hold it, and whose turn it is to work on it.
import { AgentError } from '../../errors.ts';
import type { Detach, Storage } from './storage.ts';

export class StorageEntry {
  readonly storage: Storage;
  /** Undefined until it is attached. */
  detach: Detach | undefined;
  holders = 0;
  /** The last step begun; never rejects. */
  #turn: Promise<void> = Promise.resolve();

  constructor(storage: Storage, detach?: Detach) {
    this.storage = storage;
    this.detach = detach;
  }

  /** Counts one holder more. */
  hold(): Hold {
    this.holders++;
    return { entry: this, given: false };
  }

  /** Runs `step` when those before it have ended, however they did. */
  inTurn<T>(step: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(step);
    this.#turn = done.then(
      () => {},
      () => {},
    );
    return done;
  }

  /** Two things can't be mounted in one place. @throws already_exists */
  checkSame(asked: Storage): void {
    const { driver, source } = this.storage;
    if (driver === asked.driver && source === asked.source) return;
    throw new AgentError('already_exists', `${asked.mountPoint} is taken by ${driver} storage \`${source}\``, {
      fields: { mountPoint: asked.mountPoint },
    });
  }
}

/** One holder's share of an entry, given back once. */
export interface Hold {
  readonly entry: StorageEntry;
  given: boolean;
}

/** What one request for storages holds; give it back to the table. */
export interface HeldStorages {
  /** Mount points still held, in the order of the request. */
  readonly mountPoints: readonly string[];
}

export class Held implements HeldStorages {
  readonly holds: Hold[] = [];

  get mountPoints(): readonly string[] {
    return this.holds.map(({ entry }) => entry.storage.mountPoint);
  }
}
