// One thing measured, and what it is held against.
import { type Summary, summarise } from './summary.ts';

export type Unit = 'µs' | 'ms' | 'MB/s' | 'MiB';

/** What a Kata host in its default configuration gives a guest from its first dial to an accepted connection (kata-agent.md §4.1). */
export const KATA_BUDGET = { name: 'budget of a Kata host, for boot and start together', unit: 'ms', samples: [3_000] } as const;

/** Samples of one thing. `against` names the figure it is a multiple (or, for a rate, a share) of. */
export interface Figure {
  place: 'native' | 'guest';
  name: string;
  unit: Unit;
  samples: readonly number[];
  against?: string;
}

export interface Row extends Summary {
  place: Figure['place'];
  name: string;
  unit: Unit;
  against?: string;
  /** Median over the other's median. */
  ratio?: number;
}

/** @throws Error when `against` names no figure of the same place */
export function toRows(figures: readonly Figure[]): Row[] {
  return figures.map(({ place, name, unit, samples, against }) => {
    const summary = summarise(samples, betterIs(unit));
    if (against === undefined) return { place, name, unit, ...summary };
    const base = figures.find((other) => other.place === place && other.name === against);
    if (base === undefined) throw new Error(`${name} is held against ${against}, which was not measured`);
    return { place, name, unit, ...summary, against, ratio: summary.median / summarise(base.samples).median };
  });
}

/** Whether a larger figure is the better one. */
export function betterIs(unit: Unit): 'less' | 'more' {
  return unit === 'MB/s' ? 'more' : 'less';
}
