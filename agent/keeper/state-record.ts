// What is written down of one thing that exists, for an agent that comes after this one: replaced as a whole each time something of it changes.
import type { StateStore } from './journal.ts';

export class StateRecord<Facts extends object> {
  readonly #store: StateStore;
  readonly #kind: string;
  readonly #id: string;
  #facts: Facts;
  #dropped = false;

  /** Nothing is written yet for one that was `read`. @throws resource_exhausted */
  constructor(store: StateStore, kind: string, id: string, facts: Facts, { read = false } = {}) {
    this.#store = store;
    this.#kind = kind;
    this.#id = id;
    this.#facts = facts;
    if (!read) store.put(kind, id, facts);
  }

  get facts(): Facts {
    return this.#facts;
  }

  /** Written when it returns; void after `drop`. @throws resource_exhausted */
  update(news: Partial<Facts>): void {
    if (this.#dropped) return;
    const facts = { ...this.#facts, ...news };
    this.#store.put(this.#kind, this.#id, facts);
    this.#facts = facts;
  }

  /** The thing is gone. */
  drop(): void {
    if (this.#dropped) return;
    this.#dropped = true;
    this.#store.remove(this.#kind, this.#id);
  }
}
