// The figures of a container's cgroup (cgroup v2): bytes, nanoseconds, counts. An undefined limit is none.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { parseFlatKeyed, parseLimit, readCgroupFile } from './cgroup-file.ts';

export interface ContainerStats {
  readonly cpu: CpuStats;
  readonly memory: MemoryStats;
  readonly swap: MemoryUse;
  readonly pids: { readonly current: bigint; readonly limit: bigint | undefined };
  readonly io: readonly IoStat[];
  /** By page size as the kernel writes it: `2MB`. */
  readonly hugetlb: ReadonlyMap<string, HugetlbStats>;
}

export interface CpuStats {
  readonly totalNs: bigint;
  readonly userNs: bigint;
  readonly systemNs: bigint;
  readonly periods: bigint;
  readonly throttledPeriods: bigint;
  readonly throttledNs: bigint;
}

export interface MemoryUse {
  readonly current: bigint;
  readonly peak: bigint;
  readonly limit: bigint | undefined;
  /** How often the limit was hit. */
  readonly failures: bigint;
}

export interface MemoryStats extends MemoryUse {
  /** Processes that the kernel has killed for the limit. */
  readonly oomKills: bigint;
  /** Every line of memory.stat: `file`, `anon`, `inactive_file` and so on. */
  readonly stat: ReadonlyMap<string, bigint>;
}

export interface IoStat {
  readonly major: bigint;
  readonly minor: bigint;
  /** io.stat's own words: rbytes, wbytes, rios, wios, dbytes, dios. */
  readonly key: string;
  readonly value: bigint;
}

export interface HugetlbStats {
  readonly current: bigint;
  readonly failures: bigint;
}

/**
 * Reads one file after the other, so that a cgroup that hangs in the kernel holds one thread of the pool.
 * @throws the system error when the directory itself is gone
 */
export async function readStats(directory: string): Promise<ContainerStats> {
  const names = await readdir(directory);
  const read = (name: string) => (names.includes(name) ? readCgroupFile(join(directory, name)) : undefined);
  const memoryEvents = await read('memory.events');
  return {
    cpu: parseCpu(await read('cpu.stat')),
    memory: {
      ...(await readUse('memory', memoryEvents, 'max', read)),
      oomKills: parseFlatKeyed(memoryEvents).get('oom_kill') ?? 0n,
      stat: parseFlatKeyed(await read('memory.stat')),
    },
    swap: await readUse('memory.swap', await read('memory.swap.events'), 'fail', read),
    pids: { current: parseLimit(await read('pids.current')) ?? 0n, limit: parseLimit(await read('pids.max')) },
    io: parseIo(await read('io.stat')),
    hugetlb: await readHugetlb(names, read),
  };
}

type ReadFile = (name: string) => Promise<string | undefined> | undefined;

async function readUse(prefix: string, events: string | undefined, failure: string, read: ReadFile): Promise<MemoryUse> {
  return {
    current: parseLimit(await read(`${prefix}.current`)) ?? 0n,
    peak: parseLimit(await read(`${prefix}.peak`)) ?? 0n,
    limit: parseLimit(await read(`${prefix}.max`)),
    failures: parseFlatKeyed(events).get(failure) ?? 0n,
  };
}

function parseCpu(text: string | undefined): CpuStats {
  const values = parseFlatKeyed(text);
  const count = (key: string) => values.get(key) ?? 0n;
  const ns = (key: string) => count(key) * 1000n;
  return {
    totalNs: ns('usage_usec'),
    userNs: ns('user_usec'),
    systemNs: ns('system_usec'),
    periods: count('nr_periods'),
    throttledPeriods: count('nr_throttled'),
    throttledNs: ns('throttled_usec'),
  };
}

/** "Nested keyed": `8:0 rbytes=1 wbytes=2 ...`; a device without figures has its number alone. */
export function parseIo(text: string | undefined): IoStat[] {
  return (text ?? '').split('\n').flatMap((line) => {
    const [device = '', ...pairs] = line.trim().split(' ');
    const numbers = /^(\d+):(\d+)$/.exec(device);
    if (!numbers) return [];
    return pairs.flatMap((pair) => {
      const match = /^([a-z_.]+)=(\d+)$/.exec(pair);
      if (!match) return [];
      return { major: BigInt(numbers[1]!), minor: BigInt(numbers[2]!), key: match[1]!, value: BigInt(match[2]!) };
    });
  });
}

async function readHugetlb(names: readonly string[], read: ReadFile): Promise<Map<string, HugetlbStats>> {
  const stats = new Map<string, HugetlbStats>();
  for (const name of names) {
    const size = /^hugetlb\.([0-9]+[KMG]B)\.current$/.exec(name)?.[1];
    if (size === undefined) continue;
    stats.set(size, {
      current: parseLimit(await read(name)) ?? 0n,
      failures: parseFlatKeyed(await read(`hugetlb.${size}.events`)).get('max') ?? 0n,
    });
  }
  return stats;
}
