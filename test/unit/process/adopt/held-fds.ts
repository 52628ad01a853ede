// What PID 1 does for the streams, in the test's own process: it holds copies of fds by key.
import type { StdioStore } from '../../../../agent/process/stdio-store.ts';
import { type Life, real } from './dying-agent.ts';

/** True copies, as SCM_RIGHTS makes them: they share their position. */
export function copies(fds: readonly number[]): number[] {
  const [here, there] = real.socketPair('seqpacket');
  real.sendFds(here, Buffer.alloc(1), fds);
  const received = real.recvFds(there, 1).fds;
  for (const fd of [here, there]) real.close(fd);
  return received;
}

export class HeldFds {
  readonly #held = new Map<string, number[]>();

  get size(): number {
    return this.#held.size;
  }

  /** The store as one agent sees it: what it sends before its death counts. */
  for(life: Life): StdioStore {
    return {
      put: async (key, fds) => {
        if (life.dead) return;
        if (this.#held.has(key.toString('hex'))) throw new Error('put twice under one key');
        this.#held.set(key.toString('hex'), copies(fds));
      },
      get: async (key) => {
        const fds = copies(this.#held.get(key.toString('hex')) ?? []);
        life.owns(fds);
        return fds;
      },
      delete: async (key) => {
        if (!life.dead) this.#drop(key.toString('hex'));
      },
    };
  }

  close(): void {
    for (const key of [...this.#held.keys()]) this.#drop(key);
  }

  #drop(key: string): void {
    for (const fd of this.#held.get(key) ?? []) real.close(fd);
    this.#held.delete(key);
  }
}
