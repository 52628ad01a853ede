// Resource limits of the OCI runtime specification (config-linux.md, "Control groups"), as Kata's protocol can express them.
// Memory is in bytes, CPU time in microseconds.

export interface ResourcesSpec {
  devices?: DeviceRuleSpec[];
  memory?: MemoryLimits;
  cpu?: CpuLimits;
  pids?: { limit: bigint };
  blockIO?: BlockIoLimits;
  hugepageLimits?: HugepageLimit[];
  network?: NetworkLimits;
}

/** Absent major or minor matches any. */
export interface DeviceRuleSpec {
  allow: boolean;
  type?: 'a' | 'b' | 'c';
  major?: number;
  minor?: number;
  /** Letters of `rwm`. */
  access: string;
}

/** A negative number means unlimited. `swap` is memory and swap together. */
export interface MemoryLimits {
  limit?: bigint;
  reservation?: bigint;
  swap?: bigint;
  kernel?: bigint;
  kernelTCP?: bigint;
  swappiness?: bigint;
  disableOOMKiller?: boolean;
}

export interface CpuLimits {
  shares?: bigint;
  quota?: bigint;
  period?: bigint;
  realtimeRuntime?: bigint;
  realtimePeriod?: bigint;
  /** Lists as in man 7 cpuset: `0-2,7`. */
  cpus?: string;
  mems?: string;
}

export interface BlockIoLimits {
  weight?: number;
  leafWeight?: number;
  weightDevice?: WeightDevice[];
  throttleReadBpsDevice?: ThrottleDevice[];
  throttleWriteBpsDevice?: ThrottleDevice[];
  throttleReadIOPSDevice?: ThrottleDevice[];
  throttleWriteIOPSDevice?: ThrottleDevice[];
}

export interface WeightDevice {
  major: number;
  minor: number;
  weight?: number;
  leafWeight?: number;
}

/** Bytes or operations a second. */
export interface ThrottleDevice {
  major: number;
  minor: number;
  rate: bigint;
}

export interface HugepageLimit {
  /** `2MB`, `1GB`. */
  pageSize: string;
  limit: bigint;
}

export interface NetworkLimits {
  classID?: number;
  priorities?: { name: string; priority: number }[];
}
