// The memory agent's settings, `agent.mem_agent_<name>` and in TOML `mem_agent_<name>`.
// Undefined leaves the choice to the memory agent.
import { int64, type Kind, strictBoolean, uint8, uint64 } from './kinds.ts';
import { type Setting, setting } from './setting.ts';

export const NO_MEM_AGENT = 'Berth has no memory agent; its calls answer as those of Kata do where it is off';

export const memAgentSettings = {
  memAgentMemcgDisable: row('memcg_disable', strictBoolean, 'Turns the cgroup part off.'),
  memAgentMemcgSwap: row('memcg_swap', strictBoolean, 'Lets the cgroup part swap.'),
  memAgentMemcgSwappinessMax: row('memcg_swappiness_max', uint8, 'Largest swappiness it sets.'),
  memAgentMemcgPeriodSecs: row('memcg_period_secs', uint64, 'Seconds between two runs of the cgroup part.'),
  memAgentMemcgPeriodPsiPercentLimit: row(
    'memcg_period_psi_percent_limit',
    uint8,
    'Memory pressure above which a run is put off.',
  ),
  memAgentMemcgEvictionPsiPercentLimit: row('memcg_eviction_psi_percent_limit', uint8, 'Memory pressure that ends an eviction.'),
  memAgentMemcgEvictionRunAgingCountMin: row('memcg_eviction_run_aging_count_min', uint64, 'Aging runs before an eviction.'),
  memAgentCompactDisable: row('compact_disable', strictBoolean, 'Turns the compaction part off.'),
  memAgentCompactPeriodSecs: row('compact_period_secs', uint64, 'Seconds between two runs of the compaction part.'),
  memAgentCompactPeriodPsiPercentLimit: row(
    'compact_period_psi_percent_limit',
    uint8,
    'Memory pressure above which a run is put off.',
  ),
  memAgentCompactPsiPercentLimit: row('compact_psi_percent_limit', uint8, 'Memory pressure that ends a compaction.'),
  memAgentCompactSecMax: row('compact_sec_max', int64, 'Longest compaction in seconds.'),
  memAgentCompactOrder: row('compact_order', uint8, 'Order of free pages that is aimed at.'),
  memAgentCompactThreshold: row('compact_threshold', uint64, 'Free pages below which to compact.'),
  memAgentCompactForceTimes: row('compact_force_times', uint64, 'Runs put off before one is forced.'),
};

function row<T>(name: string, kind: Kind<NonNullable<T>>, effect: string): Setting<T | undefined> {
  return setting<T | undefined>({
    kind: kind as Kind<NonNullable<T | undefined>>,
    fallback: undefined,
    param: `agent.mem_agent_${name}`,
    toml: `mem_agent_${name}`,
    needsMemAgent: true,
    unused: NO_MEM_AGENT,
    effect,
  });
}
