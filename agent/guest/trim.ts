// Gives memory back after a burst of work: neither V8 nor malloc returns free pages by itself while nothing happens.
import v8 from 'node:v8';
import vm from 'node:vm';
import { native } from '../../native/index.ts';

/** After this long without a call. */
const IDLE_MS = 5_000;

export interface IdleTrimOptions {
  idleMs?: number;
  trim?: () => void;
}

/** Trims once after each stretch of work; costs no wake-up while idle and a subtraction a call. */
export class IdleTrim {
  readonly #idleMs: number;
  readonly #trim: () => void;
  #lastTouch = 0;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor({ idleMs = IDLE_MS, trim = trimMemory }: IdleTrimOptions = {}) {
    this.#idleMs = idleMs;
    this.#trim = trim;
  }

  /** Something was done. */
  touch(): void {
    this.#lastTouch = performance.now();
    if (this.#timer === undefined && !this.#closed) this.#arm(this.#idleMs);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #arm(afterMs: number): void {
    this.#timer = setTimeout(() => this.#onTimer(), afterMs);
    this.#timer.unref();
  }

  #onTimer(): void {
    this.#timer = undefined;
    const leftMs = this.#idleMs - (performance.now() - this.#lastTouch);
    // Re-armed only here, so a busy agent does not restart a timer a thousand times a second.
    if (leftMs > 1) this.#arm(leftMs);
    else this.#trim();
  }
}

/**
 * A full collection, twice because the first one only queues what finalizers hold, then malloc's free pages. Takes the loop
 * 1 to 15 ms.
 */
export function trimMemory(): void {
  const collect = garbageCollector();
  collect();
  collect();
  native().mallocTrim();
}

let collector: (() => void) | undefined;

/** V8's own, which Node hides unless it is started with a flag. */
function garbageCollector(): () => void {
  if (collector === undefined) {
    v8.setFlagsFromString('--expose-gc');
    collector = vm.runInNewContext('gc') as () => void;
  }
  return collector;
}
