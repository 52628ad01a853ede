// Resource limits for crun on cgroup v2: what it refuses there is left out, what it would misread is corrected.
import type { OnDropped } from './context.ts';
import { quote, refuse } from './refusal.ts';
import type { BlockIoLimits, CpuLimits, MemoryLimits, ResourcesSpec, ThrottleDevice } from './resources.ts';

const NOT_ON_V2 = 'cgroup v2 has no such limit';
/** Documentation/admin-guide/cgroup-v1/cpu: shares. crun holds them in 32 bits and would cut a larger number. */
const MIN_SHARES = 2n;
const MAX_SHARES = 262144n;
/** kernel/sched: bounds of cfs quota and period, in microseconds. */
const MIN_CFS_US = 1000n;
const MAX_PERIOD_US = 1_000_000n;
const DEFAULT_PERIOD_US = 100_000n;
/** man 7 cpuset, list format. */
const CPUSET = /^\d{1,5}(-\d{1,5})?(,\d{1,5}(-\d{1,5})?)*$/;
/** It becomes part of a file name: `hugetlb.2MB.max`. */
const PAGE_SIZE = /^[1-9]\d{0,5}[KMG]B$/;

/**
 * Everything but device rules (devices.ts).
 * @param field path of the resources, for errors
 * @throws invalid_argument
 */
export function prepareLimits(resources: ResourcesSpec, field: string, onDropped: OnDropped): ResourcesSpec {
  if (resources.network !== undefined) onDropped(`${field}.network`, NOT_ON_V2);
  resources.hugepageLimits?.forEach(({ pageSize }, index) => {
    if (!PAGE_SIZE.test(pageSize)) refuse(`${field}.hugepageLimits[${index}].pageSize`, `${quote(pageSize)} is no page size`);
  });
  return {
    memory: resources.memory && prepareMemory(resources.memory, `${field}.memory`, onDropped),
    cpu: resources.cpu && prepareCpu(resources.cpu, `${field}.cpu`, onDropped),
    pids: resources.pids,
    blockIO: resources.blockIO && prepareBlockIo(resources.blockIO, `${field}.blockIO`, onDropped),
    hugepageLimits: resources.hugepageLimits,
  };
}

function prepareMemory(memory: MemoryLimits, field: string, onDropped: OnDropped): MemoryLimits {
  const { limit, reservation, swap, ...others } = memory;
  reportDropped(others, field, onDropped);
  if (swap !== undefined && swap > 0n) {
    if (limit === undefined || limit < 0n) refuse(`${field}.swap`, 'counts memory and swap together, so it needs a memory limit');
    if (swap < limit) refuse(`${field}.swap`, `${swap} is below the memory limit ${limit}`);
  }
  return { limit, reservation, swap };
}

function prepareCpu(cpu: CpuLimits, field: string, onDropped: OnDropped): CpuLimits {
  const { shares, quota, period, cpus, mems, ...realtime } = cpu;
  reportDropped(realtime, field, onDropped);
  if (quota !== undefined && quota > 0n && quota < MIN_CFS_US) refuse(`${field}.quota`, `${quota} is below ${MIN_CFS_US} µs`);
  if (period !== undefined && (period < MIN_CFS_US || period > MAX_PERIOD_US)) {
    refuse(`${field}.period`, `${period} is not within ${MIN_CFS_US} to ${MAX_PERIOD_US} µs`);
  }
  for (const [key, list] of Object.entries({ cpus, mems })) {
    if (list !== undefined && !CPUSET.test(list)) refuse(`${field}.${key}`, `${quote(list)} is no list of numbers`);
  }
  return {
    shares: shares === undefined ? undefined : clamp(shares, MIN_SHARES, MAX_SHARES),
    quota,
    // Without a period crun would not write "no limit" at all.
    period: period ?? (quota !== undefined && quota < 0n ? DEFAULT_PERIOD_US : undefined),
    cpus,
    mems,
  };
}

function prepareBlockIo(blockIo: BlockIoLimits, field: string, onDropped: OnDropped): BlockIoLimits {
  const { leafWeight, weight, weightDevice, ...throttles } = blockIo;
  reportDropped({ leafWeight }, field, onDropped);
  if (weight !== undefined && (weight < 10 || weight > 1000)) refuse(`${field}.weight`, `${weight} is not within 10 to 1000`);
  const limited = Object.entries(throttles).map(([key, devices]: [string, ThrottleDevice[] | undefined]) => {
    // io.max knows no zero; a client that writes it means no limit.
    const real = devices?.filter(({ rate }) => rate > 0n);
    return [key, real?.length ? real : undefined];
  });
  return {
    weight,
    weightDevice: weightDevice?.map(({ leafWeight: _, ...device }) => device),
    ...Object.fromEntries(limited),
  };
}

function reportDropped(limits: object, field: string, onDropped: OnDropped): void {
  for (const [key, value] of Object.entries(limits)) if (value !== undefined) onDropped(`${field}.${key}`, NOT_ON_V2);
}

function clamp(value: bigint, min: bigint, max: bigint): bigint {
  return value < min ? min : value > max ? max : value;
}
