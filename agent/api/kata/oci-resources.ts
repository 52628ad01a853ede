// grpc.LinuxResources -> ResourcesSpec. A zero is absent; a negative limit means unlimited and is passed on.
import type { grpc } from '#proto/kata.js';
import { quote, refuse } from '../../container/spec/refusal.ts';
import type {
  BlockIoLimits,
  CpuLimits,
  DeviceRuleSpec,
  MemoryLimits,
  NetworkLimits,
  ResourcesSpec,
  ThrottleDevice,
} from '../../container/spec/resources.ts';
import { optionalBigInt, optionalList, optionalText, smallInt, text } from './oci-field.ts';

/** Linux: 12 bits of major, 20 of minor (man 3 makedev is wider, the kernel is not). */
export const MAX_MAJOR = (1 << 12) - 1;
export const MAX_MINOR = (1 << 20) - 1;

/** @throws invalid_argument naming the field */
export function toResources(resources: grpc.LinuxResources.$Shape, field = 'resources'): ResourcesSpec {
  const pidsLimit = optionalBigInt(resources.Pids?.Limit);
  return {
    devices: optionalList(resources.Devices, `${field}.Devices`, toDeviceRule),
    memory: resources.Memory ? toMemory(resources.Memory) : undefined,
    cpu: resources.CPU ? toCpu(resources.CPU, `${field}.CPU`) : undefined,
    pids: pidsLimit === undefined ? undefined : { limit: pidsLimit },
    blockIO: resources.BlockIO ? toBlockIo(resources.BlockIO, `${field}.BlockIO`) : undefined,
    hugepageLimits: optionalList(resources.HugepageLimits, `${field}.HugepageLimits`, (limit, at) => ({
      pageSize: text(limit.Pagesize, `${at}.Pagesize`),
      limit: limit.Limit ?? 0n,
    })),
    network: resources.Network ? toNetwork(resources.Network, `${field}.Network`) : undefined,
  };
}

function toDeviceRule(rule: grpc.LinuxDeviceCgroup.$Shape, field: string): DeviceRuleSpec {
  const type = rule.Type ?? '';
  if (type !== '' && type !== 'a' && type !== 'b' && type !== 'c') refuse(`${field}.Type`, `unknown device type ${quote(type)}`);
  const access = rule.Access ?? '';
  if (!/^[rwm]*$/.test(access)) refuse(`${field}.Access`, `${quote(access)} has other letters than r, w and m`);
  return {
    allow: rule.Allow ?? false,
    type: type || undefined,
    major: deviceNumber(rule.Major, `${field}.Major`, MAX_MAJOR),
    minor: deviceNumber(rule.Minor, `${field}.Minor`, MAX_MINOR),
    access: access || 'rwm',
  };
}

/** Absent for 0, and for -1, which runtimes write for "any". */
function deviceNumber(value: bigint | null | undefined, field: string, max: number): number | undefined {
  const number = smallInt(value, field, -1, max);
  return number > 0 ? number : undefined;
}

function toMemory(memory: grpc.LinuxMemory.$Shape): MemoryLimits {
  return {
    limit: optionalBigInt(memory.Limit),
    reservation: optionalBigInt(memory.Reservation),
    swap: optionalBigInt(memory.Swap),
    kernel: optionalBigInt(memory.Kernel),
    kernelTCP: optionalBigInt(memory.KernelTCP),
    swappiness: optionalBigInt(memory.Swappiness),
    disableOOMKiller: memory.DisableOOMKiller || undefined,
  };
}

function toCpu(cpu: grpc.LinuxCPU.$Shape, field: string): CpuLimits {
  return {
    shares: optionalBigInt(cpu.Shares),
    quota: optionalBigInt(cpu.Quota),
    period: optionalBigInt(cpu.Period),
    realtimeRuntime: optionalBigInt(cpu.RealtimeRuntime),
    realtimePeriod: optionalBigInt(cpu.RealtimePeriod),
    cpus: optionalText(cpu.Cpus, `${field}.Cpus`),
    mems: optionalText(cpu.Mems, `${field}.Mems`),
  };
}

function toBlockIo(blockIo: grpc.LinuxBlockIO.$Shape, field: string): BlockIoLimits {
  const throttles = (
    name: 'ThrottleReadBpsDevice' | 'ThrottleWriteBpsDevice' | 'ThrottleReadIOPSDevice' | 'ThrottleWriteIOPSDevice',
  ) => optionalList(blockIo[name], `${field}.${name}`, toThrottle);
  return {
    weight: blockIo.Weight || undefined,
    leafWeight: blockIo.LeafWeight || undefined,
    weightDevice: optionalList(blockIo.WeightDevice, `${field}.WeightDevice`, (device, at) => ({
      ...deviceNumbers(device, at),
      weight: device.Weight || undefined,
      leafWeight: device.LeafWeight || undefined,
    })),
    throttleReadBpsDevice: throttles('ThrottleReadBpsDevice'),
    throttleWriteBpsDevice: throttles('ThrottleWriteBpsDevice'),
    throttleReadIOPSDevice: throttles('ThrottleReadIOPSDevice'),
    throttleWriteIOPSDevice: throttles('ThrottleWriteIOPSDevice'),
  };
}

function toThrottle(device: grpc.LinuxThrottleDevice.$Shape, field: string): ThrottleDevice {
  return { ...deviceNumbers(device, field), rate: device.Rate ?? 0n };
}

function deviceNumbers(
  device: { Major?: bigint | null; Minor?: bigint | null },
  field: string,
): { major: number; minor: number } {
  return {
    major: smallInt(device.Major, `${field}.Major`, 0, MAX_MAJOR),
    minor: smallInt(device.Minor, `${field}.Minor`, 0, MAX_MINOR),
  };
}

function toNetwork(network: grpc.LinuxNetwork.$Shape, field: string): NetworkLimits {
  return {
    classID: network.ClassID || undefined,
    priorities: optionalList(network.Priorities, `${field}.Priorities`, (entry, at) => ({
      name: text(entry.Name, `${at}.Name`),
      priority: entry.Priority ?? 0,
    })),
  };
}
