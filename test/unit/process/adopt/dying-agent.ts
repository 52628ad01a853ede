// An agent's life in the middle of the test's own: whatever the agent's code does in the kernel goes through here, and at a chosen call, before
// or after it, the agent is dead. Then nothing of it runs any more, its timers included, and all its fds are closed, as SIGKILL has it.
import { type Native, native, type Watch } from '../../../../native/index.ts';

/** Thrown into the agent's code at its death, and whenever that still tries something. */
export class Killed extends Error {}

type Verb = (...args: never[]) => unknown;
const KILLED_AT = ['memfdCreate', 'pipe', 'splice', 'sendFile', 'writeAt', 'readAt', 'rewind', 'punchHole'] as const;
const PATCHED = [...KILLED_AT, 'watchReadable', 'watchWritable', 'close', 'filePosition', 'fileSize'] as const;

const door = native();
/** The door as it is, for the test itself. */
export const real = Object.fromEntries(
  Object.entries(door).map(([name, verb]) => [name, (verb as Verb).bind(door)]),
) as unknown as Native;

interface Notice {
  readonly fd: number;
  readonly writable: boolean;
  readonly callback: () => void;
  readonly watch: Watch;
  on: boolean;
}

interface Timer {
  at: number;
  callback: () => void;
}

let current: Life | undefined;

export class Life {
  dead = false;
  /** So many calls from now. */
  killIn: number | undefined;
  killBefore = false;
  readonly fds = new Set<number>();
  #now = 0;
  #notices: Notice[] = [];
  #timers: Timer[] = [];

  /** Runs the agent's code. undefined when it died of it. */
  run<T>(step: () => T): T | undefined {
    current = this;
    try {
      if (!this.dead) return step();
    } catch (error) {
      if (!(error instanceof Killed)) throw error;
    }
    return undefined;
  }

  async runAsync<T>(step: () => Promise<T>): Promise<T | undefined> {
    current = this;
    try {
      if (!this.dead) return await step();
    } catch (error) {
      if (!(error instanceof Killed)) throw error;
    }
    return undefined;
  }

  /** One turn of the event loop. */
  poll(): void {
    for (const notice of [...this.#notices]) {
      if (!notice.on || !this.#notices.includes(notice)) continue;
      if (notice.writable || real.isReadable(notice.fd)) this.run(notice.callback);
    }
  }

  advance(ms: number): void {
    this.#now += ms;
    for (const timer of this.#timers.filter(({ at }) => at <= this.#now)) {
      this.#timers = this.#timers.filter((other) => other !== timer);
      this.run(timer.callback);
    }
  }

  /** The kernel's part of its end. */
  bury(): void {
    this.dead = true;
    for (const { watch } of this.#notices) watch.close();
    for (const fd of this.fds) real.close(fd);
    this.fds.clear();
    this.#notices = [];
  }

  owns(fds: readonly number[]): void {
    for (const fd of fds) this.fds.add(fd);
  }

  /** Every call into the kernel is one at which it may die. */
  call<T>(verb: () => T): T {
    if (this.dead) throw new Killed();
    const dies = this.killIn !== undefined && --this.killIn < 0;
    if (dies && this.killBefore) this.#die();
    const result = verb();
    if (dies) {
      if (Array.isArray(result)) this.owns(result as number[]);
      this.#die();
    }
    return result;
  }

  watch(fd: number, writable: boolean, callback: () => void): Watch {
    if (this.dead) throw new Killed();
    // The real one makes the fd non-blocking, and holds what it stands for.
    const watch = writable ? real.watchWritable(fd, () => {}) : real.watchReadable(fd, () => {});
    watch.pause();
    const notice: Notice = { fd, writable, callback, watch, on: true };
    this.#notices.push(notice);
    return {
      pause: () => {
        notice.on = false;
      },
      resume: () => {
        notice.on = true;
      },
      close: () => {
        if (this.dead) return;
        this.#notices = this.#notices.filter((other) => other !== notice);
        watch.close();
      },
      ref: () => {},
      unref: () => {},
    };
  }

  setTimeout(callback: () => void, ms: number): Timer & { unref(): unknown } {
    const timer = { at: this.#now + ms, callback, unref: () => timer };
    this.#timers.push(timer);
    return timer;
  }

  clearTimeout(timer: unknown): void {
    this.#timers = this.#timers.filter((other) => other !== timer);
  }

  #die(): never {
    this.dead = true;
    throw new Killed();
  }
}

/** From now on the agent's code lives the life that runs; returns what ends that. */
export function install(): () => void {
  const before = Object.fromEntries(PATCHED.map((name) => [name, door[name]]));
  const timers = {
    setTimeout: globalThis.setTimeout,
    clearTimeout: globalThis.clearTimeout,
    queueMicrotask: globalThis.queueMicrotask,
  };
  for (const name of KILLED_AT) {
    const verb = real[name] as (...args: unknown[]) => unknown;
    Object.assign(door, {
      [name]: (...args: unknown[]) => {
        const life = current!;
        const result = life.call(() => verb(...args));
        if (name === 'memfdCreate' || name === 'pipe') life.owns([result].flat() as number[]);
        return result;
      },
    });
  }
  Object.assign(door, {
    watchReadable: (fd: number, callback: () => void) => current!.watch(fd, false, callback),
    watchWritable: (fd: number, callback: () => void) => current!.watch(fd, true, callback),
    close: (fd: number) => {
      const life = current!;
      if (life.dead) return;
      if (!life.fds.delete(fd)) throw new Error(`closed an fd that is not its own: ${fd}`);
      real.close(fd);
    },
  } satisfies Partial<Native>);
  Object.assign(globalThis, {
    setTimeout: (callback: () => void, ms: number) => current!.setTimeout(callback, ms),
    clearTimeout: (timer: unknown) => current!.clearTimeout(timer),
    queueMicrotask: (callback: () => void) => {
      const life = current!;
      timers.queueMicrotask(() => life.run(callback));
    },
  });
  return () => {
    Object.assign(door, before);
    Object.assign(globalThis, timers);
  };
}
