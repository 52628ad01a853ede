// What a list of measurements comes to.

export interface Summary {
  n: number;
  median: number;
  /** By nearest rank, so with fewer than 100 samples it is the worst one. */
  p99: number;
}

/** @throws RangeError for no samples */
export function summarise(samples: readonly number[], better: 'less' | 'more' = 'less'): Summary {
  const worstLast = samples.toSorted((a, b) => (better === 'less' ? a - b : b - a));
  return { n: samples.length, median: median(worstLast), p99: nearestRank(worstLast, 0.99) };
}

/** The middle one, or the mean of the middle two. */
function median(sorted: readonly number[]): number {
  if (sorted.length === 0) throw new RangeError('no samples');
  const half = sorted.length / 2;
  return (sorted[Math.ceil(half) - 1]! + sorted[Math.floor(half)]!) / 2;
}

/** The smallest sample that at least the share `rank` of all samples do not exceed. */
function nearestRank(sorted: readonly number[], rank: number): number {
  return sorted[Math.max(0, Math.ceil(rank * sorted.length) - 1)]!;
}
