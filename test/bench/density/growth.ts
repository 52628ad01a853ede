// What the n-th of a kind costs: made one after the other, timed, with the memory looked at on the way.

import type { GuestUse } from './probe.ts';
import { totalOf } from './smaps-parts.ts';

export interface Growth {
  readonly kind: string;
  readonly steps: readonly GrowthStep[];
}

export interface GrowthStep {
  readonly count: number;
  /** Median time of one, over those since the last step, ms. */
  readonly ms: number;
  readonly usedKib: number;
  readonly agentPrivateKib: number;
}

/**
 * @param counts where the memory is looked at, ascending; the last is how many are made
 * @param make one more, number `at` from 0
 */
export async function grow(
  kind: string,
  counts: readonly number[],
  make: (at: number) => Promise<void>,
  look: () => Promise<GuestUse>,
): Promise<Growth> {
  const before = await look();
  const steps: GrowthStep[] = [step(0, [], before)];
  let made = 0;
  for (const count of counts) {
    const times: number[] = [];
    for (; made < count; made++) {
      const from = performance.now();
      await make(made);
      times.push(performance.now() - from);
    }
    steps.push(step(count, times, await look()));
  }
  return { kind, steps };
}

function step(count: number, times: readonly number[], { usedKib, agent }: GuestUse): GrowthStep {
  const ms = times.toSorted((a, b) => a - b)[times.length >> 1] ?? 0;
  return { count, ms, usedKib, agentPrivateKib: totalOf(agent).privateDirty };
}

/** Of one more, between the first step and the last: KiB in the guest, and of that the agent's own. */
export function costOfOne({ steps }: Growth): { usedKib: number; agentKib: number } {
  const [first, last] = [steps[0]!, steps.at(-1)!];
  const made = Math.max(1, last.count - first.count);
  return { usedKib: (last.usedKib - first.usedKib) / made, agentKib: (last.agentPrivateKib - first.agentPrivateKib) / made };
}
