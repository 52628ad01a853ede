// Figures people read, from the counters of a container's cgroup.
import type { berth } from '#proto/berth.js';

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

/** The largest number, or with some kernels one near it, says that there is no limit. */
const UNLIMITED = 1n << 60n;

/** CPU use between two samples, the rest as of the later one. */
export function usageBetween(id: string, before: berth.v1.ContainerStats, after: berth.v1.ContainerStats): ContainerUsage {
  const elapsedMs = Number(after.readUnixMs - before.readUnixMs);
  const cpuUs = Number(after.cpuUsageUs - before.cpuUsageUs);
  const { memoryBytes: used, memoryDroppableBytes: droppable, memoryLimitBytes: limit } = after;
  return {
    id,
    cpuPercent: elapsedMs > 0 && cpuUs > 0 ? cpuUs / 10 / elapsedMs : 0,
    memoryBytes: Number(used > droppable ? used - droppable : used),
    ...(limit === 0n || limit >= UNLIMITED ? {} : { memoryLimitBytes: Number(limit) }),
    pids: Number(after.pids),
    blockReadBytes: Number(after.ioReadBytes),
    blockWriteBytes: Number(after.ioWriteBytes),
  };
}
