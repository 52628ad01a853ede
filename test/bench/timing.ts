// Measuring one call after the other.

/** Milliseconds of each of `count` calls, one at a time. */
export async function timeEach(count: number, call: () => Promise<unknown>): Promise<number[]> {
  const samples: number[] = [];
  for (let done = 0; done < count; done++) {
    const from = performance.now();
    await call();
    samples.push(performance.now() - from);
  }
  return samples;
}
