// ContainerStats -> grpc.StatsContainerResponse (kata-agent.md §3.10): what consumers of Kata's figures read, filled in where
// cgroup v2 has it.
import type { grpc } from '#proto/kata.js';
import type { ContainerStats, MemoryUse } from '../../container/cgroup-stats.ts';

/** How a consumer recognises "no limit": above any memory there is, and a positive int64. */
const NO_LIMIT = (1n << 63n) - 1n;
/** -1 in 64 unsigned bits: kernel memory has no limit of its own on cgroup v2. */
const NO_KERNEL_LIMIT = (1n << 64n) - 1n;

/** io.stat's words to those of Kata's entries. */
const IO_OPERATIONS: Readonly<Record<string, string>> = { rbytes: 'read', wbytes: 'write' };

export function toStatsResponse(stats: ContainerStats): grpc.StatsContainerResponse.$Shape {
  return {
    cgroupStats: {
      cpuStats: toCpu(stats),
      memoryStats: toMemory(stats),
      pidsStats: { current: stats.pids.current, limit: stats.pids.limit ?? 0n },
      blkioStats: {
        ioServiceBytesRecursive: stats.io.map(({ major, minor, key, value }) => ({
          major,
          minor,
          op: IO_OPERATIONS[key] ?? key,
          value,
        })),
      },
      hugetlbStats: Object.fromEntries(
        [...stats.hugetlb].map(([size, { current, failures }]) => [size, { usage: current, maxUsage: 0n, failcnt: failures }]),
      ),
    },
    // The host knows the network better: it adds the figures of the VM's own interfaces.
    networkStats: [],
  };
}

function toCpu({ cpu }: ContainerStats): grpc.CpuStats.$Shape {
  return {
    cpuUsage: { totalUsage: cpu.totalNs, percpuUsage: [], usageInKernelmode: cpu.systemNs, usageInUsermode: cpu.userNs },
    throttlingData: { periods: cpu.periods, throttledPeriods: cpu.throttledPeriods, throttledTime: cpu.throttledNs },
  };
}

function toMemory({ memory, swap }: ContainerStats): grpc.MemoryStats.$Shape {
  return {
    cache: memory.stat.get('file') ?? 0n,
    usage: toUse(memory),
    swapUsage: toUse(swap),
    kernelUsage: { usage: memory.stat.get('kernel') ?? 0n, maxUsage: 0n, failcnt: 0n, limit: NO_KERNEL_LIMIT },
    useHierarchy: false,
    stats: Object.fromEntries(memory.stat),
  };
}

function toUse(use: MemoryUse): grpc.MemoryData.$Shape {
  return { usage: use.current, maxUsage: use.peak, failcnt: use.failures, limit: use.limit ?? NO_LIMIT };
}
