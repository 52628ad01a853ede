// What simulations of streams share: the modules under test, seeded chance, and bytes that tell their own offset.
/** The modules under test: the real ones, or mutants of them. */
export interface Core {
  readonly OutputLog: typeof import('../../../../agent/process/stream/output-log.ts').OutputLog;
  readonly PulledOutput: typeof import('../../../../agent/process/stream/pulled-output.ts').PulledOutput;
  readonly StdinLog: typeof import('../../../../agent/process/stream/stdin-log.ts').StdinLog;
  readonly Budget: typeof import('../../../../agent/process/stream/budget.ts').Budget;
}

/** mulberry32: small, seeded, good enough for schedules. */
export class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }
  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }
  chance(probability: number): boolean {
    return this.next() < probability;
  }
  of<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }
}

const byteAt = (offset: number): number => (offset * 167 + (offset >>> 8) * 31 + 7) & 0xff;

export function pattern(from: number, length: number): Buffer {
  const data = Buffer.alloc(length);
  for (let at = 0; at < length; at++) data[at] = byteAt(from + at);
  return data;
}
