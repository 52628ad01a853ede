// Figures people read, from the counters that StatsContainer gives (cgroup v2).
import type { grpc } from '#proto/kata.js';

export interface UsageSample {
  /** Any clock, ms. */
  atMs: number;
  /** CPU time used so far, ns. */
  cpuNs: bigint;
  memoryBytes: number;
  memoryLimitBytes?: number;
  pids: number;
  blockReadBytes: number;
  blockWriteBytes: number;
}

export interface ContainerUsage {
  id: string;
  /** 100 is one CPU. */
  cpuPercent: number;
  /** Without the page cache that the kernel can drop, as docker counts. */
  memoryBytes: number;
  /** Absent without a limit. */
  memoryLimitBytes?: number;
  pids: number;
  blockReadBytes: number;
  blockWriteBytes: number;
}

/** `memory.max` of `max` arrives as a number of this size or above. */
const UNLIMITED = 1n << 60n;

export function usageOf(stats: grpc.ICgroupStats, atMs: number): UsageSample {
  const memory = stats.memoryStats;
  const used = memory?.usage?.usage ?? 0n;
  const droppable = memory?.stats?.['inactive_file'] ?? 0n;
  const limit = memory?.usage?.limit ?? 0n;
  const io = stats.blkioStats?.ioServiceBytesRecursive ?? [];
  const sum = (op: string) =>
    io.reduce((total, entry) => total + (entry.op?.toLowerCase() === op ? Number(entry.value ?? 0n) : 0), 0);
  return {
    atMs,
    cpuNs: stats.cpuStats?.cpuUsage?.totalUsage ?? 0n,
    memoryBytes: Number(used > droppable ? used - droppable : used),
    ...(limit === 0n || limit >= UNLIMITED ? {} : { memoryLimitBytes: Number(limit) }),
    pids: Number(stats.pidsStats?.current ?? 0n),
    blockReadBytes: sum('read'),
    blockWriteBytes: sum('write'),
  };
}

/** CPU use between two samples, the rest as of the later one. */
export function usageBetween(id: string, before: UsageSample, after: UsageSample): ContainerUsage {
  const { atMs, cpuNs, ...rest } = after;
  const elapsedMs = atMs - before.atMs;
  const cpuPercent = elapsedMs > 0 && cpuNs > before.cpuNs ? (Number(cpuNs - before.cpuNs) / 1e6 / elapsedMs) * 100 : 0;
  return { id, cpuPercent, ...rest };
}
