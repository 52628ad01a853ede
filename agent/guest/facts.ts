// What the machine under the agent is: kernel, memory, entropy, vsock. Each fact that can't be had is absent, never a failure.
import { readFile } from 'node:fs/promises';
import { availableParallelism, hostname, release, uptime } from 'node:os';
import { type Native, native } from '../../native/index.ts';

export interface GuestFacts {
  readonly bootId: string;
  /** Unix time in ms, by the guest's clock. */
  readonly clock: number;
  readonly uptimeMs: number;
  readonly cid: number | undefined;
  readonly kernelRelease: string;
  readonly memoryTotalBytes: number;
  readonly memoryAvailableBytes: number;
  readonly entropyBits: number;
  readonly cpus: number;
  readonly hostname: string;
}

const BOOT_ID = '/proc/sys/kernel/random/boot_id';
let boot: Promise<string> | undefined;

/** Changes with each boot of the guest; read once. */
export function bootId(): Promise<string> {
  boot ??= readText(BOOT_ID);
  return boot;
}

export async function readGuestFacts(door: Pick<Native, 'vsockLocalCid'> = native()): Promise<GuestFacts> {
  const [memory, entropy] = await Promise.all([readText('/proc/meminfo'), readText('/proc/sys/kernel/random/entropy_avail')]);
  return {
    bootId: await bootId(),
    clock: Date.now(),
    uptimeMs: Math.round(uptime() * 1000),
    cid: localCid(door),
    kernelRelease: release(),
    memoryTotalBytes: memoryLine(memory, 'MemTotal'),
    memoryAvailableBytes: memoryLine(memory, 'MemAvailable'),
    entropyBits: Number(entropy) || 0,
    cpus: availableParallelism(),
    hostname: hostname(),
  };
}

async function readText(path: string): Promise<string> {
  return (await readFile(path, 'utf8').catch(() => '')).trim();
}

/** man 5 proc_meminfo; its kB are KiB. */
function memoryLine(text: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1] ?? 0) * 1024;
}

function localCid(door: Pick<Native, 'vsockLocalCid'>): number | undefined {
  try {
    return door.vsockLocalCid();
  } catch {
    return undefined;
  }
}
