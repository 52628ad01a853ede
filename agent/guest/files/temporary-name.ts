// Names that a file has for a moment, until it gets its own. Each is written down before anything has it, so that the next agent takes away
// what this one leaves when it dies in between (sandbox/remove-temporaries.ts).
import { randomBytes } from 'node:crypto';
import { readlink } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { StateStore } from '../../keeper/journal.ts';
import { descriptorPath, type Place } from './confined-directory.ts';

const random = promisify(randomBytes);
const PREFIX = '.berth-copy-';
const RANDOM_BYTES = 12;

/** Records of this kind have the name as their id. */
export const TEMPORARY_KIND = 'temporary-file';

export interface TemporaryFacts {
  /** Whose root the directory is in; '' for the guest's. */
  readonly containerId: string;
  /** Path from that root, as it was. */
  readonly directory: string;
}

export interface TemporaryName extends Place {
  /** Nothing has the name any more. Idempotent. */
  forget(): void;
}

/** Whether the name is one that this file gives: nothing else is ever taken away by name. */
export function isTemporaryName(name: string): boolean {
  return name.startsWith(PREFIX) && /^[0-9a-f]{24}$/.test(name.slice(PREFIX.length));
}

export class TemporaryNames {
  readonly #state: StateStore | undefined;
  readonly #containerId: string;

  /** @param state undefined where what is left goes with its directory */
  constructor(state?: StateStore, containerId = '') {
    this.#state = state;
    this.#containerId = containerId;
  }

  /** The same for places in another root. */
  of(containerId: string): TemporaryNames {
    return new TemporaryNames(this.#state, containerId);
  }

  /** A name that nothing has, in the same directory. @throws resource_exhausted when it can't be written down */
  async beside({ directory }: Place): Promise<TemporaryName> {
    const name = `${PREFIX}${(await random(RANDOM_BYTES)).toString('hex')}`;
    const state = this.#state;
    if (state !== undefined) {
      await state.ready();
      const facts: TemporaryFacts = { containerId: this.#containerId, directory: await readlink(descriptorPath(directory)) };
      state.put(TEMPORARY_KIND, name, facts);
    }
    return { directory, name, forget: () => state?.remove(TEMPORARY_KIND, name) };
  }
}
