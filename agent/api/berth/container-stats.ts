// The figures of a container, one message after the other.
import { setTimeout as sleep } from 'node:timers/promises';
import type { berth } from '#proto/berth.js';
import type { ContainerStats, IoStat } from '../../container/cgroup-stats.ts';
import type { Container } from '../../container/container.ts';

/** Ends when the container has been removed or the signal says so. @param intervalMs 0 for one message only */
export async function* containerStats(
  container: Container,
  intervalMs: number,
  signal: AbortSignal,
): AsyncGenerator<berth.v1.ContainerStats.$Properties> {
  let removed = false;
  const watch = container.removed.then(() => {
    removed = true;
  });
  for (;;) {
    const stats = await container.stats().catch((error: unknown) => {
      if (removed) return undefined;
      throw error;
    });
    if (stats === undefined) return;
    yield toMessage(stats);
    if (intervalMs === 0) return;
    await Promise.race([watch, sleep(intervalMs, undefined, { signal })]);
    if (removed) return;
  }
}

const UNLIMITED = (1n << 64n) - 1n;

function toMessage({ cpu, memory, pids, io }: ContainerStats): berth.v1.ContainerStats.$Properties {
  const micro = (ns: bigint) => ns / 1000n;
  return {
    readUnixMs: BigInt(Date.now()),
    cpuUsageUs: micro(cpu.totalNs),
    cpuUserUs: micro(cpu.userNs),
    cpuSystemUs: micro(cpu.systemNs),
    cpuThrottledUs: micro(cpu.throttledNs),
    memoryBytes: memory.current,
    memoryLimitBytes: memory.limit ?? UNLIMITED,
    memoryPeakBytes: memory.peak,
    memoryDroppableBytes: memory.stat.get('inactive_file') ?? 0n,
    oomKills: memory.oomKills,
    pids: pids.current,
    ioReadBytes: sum(io, 'rbytes'),
    ioWriteBytes: sum(io, 'wbytes'),
  };
}

function sum(io: readonly IoStat[], key: string): bigint {
  return io.filter((stat) => stat.key === key).reduce((total, { value }) => total + value, 0n);
}
