// How long calls take while something else goes on.
import { setTimeout as sleep } from 'node:timers/promises';
import { summarise } from '../bench/report/summary.ts';

/** Between an answer and the next call, so that the calls themselves are no load. */
const PAUSE_MS = 10;
/** However soon the work has ended. */
const AT_LEAST = 50;

/** Calls again and again until the work has ended. Milliseconds of each call. */
export async function timeDuring(work: Promise<unknown>, call: () => Promise<unknown>): Promise<number[]> {
  let going = true;
  const ended = work.finally(() => {
    going = false;
  });
  ended.catch(() => {});
  const samples: number[] = [];
  while (going || samples.length < AT_LEAST) {
    const from = performance.now();
    await call();
    samples.push(performance.now() - from);
    await sleep(PAUSE_MS);
  }
  await ended;
  return samples;
}

export function describeTimes(samples: readonly number[]): string {
  const { n, median, p99 } = summarise(samples);
  return `p50 ${median.toFixed(1)}, p99 ${p99.toFixed(1)}, max ${Math.max(...samples).toFixed(1)} ms of ${n}`;
}
