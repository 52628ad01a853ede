// CPUs and memory that the host plugged in: brought on line through sysfs (admin-guide/cputopology.rst, mm/memory-hotplug.rst).
// cgroup v2 adds a CPU that comes on line to every cpuset that names it, so nothing is left to do for containers.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AgentError, fromErrno, isErrno } from '../errors.ts';
import { writeAttribute } from './devices/sysfs.ts';

/** A CPU that was plugged in shows up some time later. */
const ATTEMPTS = 100;
const LOOK_MS = 50;
/** Of one request; a block is 128 MiB or more. */
const MAX_PROBE_ADDRESSES = 4096;

export interface CpuMemoryOptions {
  /** Mount of sysfs. */
  sysDir?: string;
  attempts?: number;
  lookMs?: number;
  signal?: AbortSignal;
}

/**
 * Brings CPUs on line until there are `total`, CPU 0 and those already on line included.
 * @throws internal when they do not come within 5 s
 */
export async function onlineCpus(total: number, options: CpuMemoryOptions = {}): Promise<void> {
  const { sysDir = '/sys', attempts = ATTEMPTS, lookMs = LOOK_MS, signal } = options;
  const directory = join(sysDir, 'devices/system/cpu');
  for (let attempt = 0; attempt < attempts; attempt++) {
    signal?.throwIfAborted();
    if (attempt > 0) await sleep(lookMs, undefined, { signal });
    const missing = total - (await countOnline(directory));
    if (missing <= 0) return;
    await setOnline(directory, /^cpu\d+$/, missing).catch((error: unknown) => {
      // A CPU that is still being plugged in may refuse; the next look tries again.
      if (!isErrno(error, 'EBUSY', 'EINVAL', 'ENODEV', 'ENOENT')) throw fromErrno(error, 'bring a CPU on line');
    });
  }
  const missing = total - (await countOnline(directory));
  if (missing <= 0) return;
  throw new AgentError('internal', `failed to online ${missing} CPU(s) after ${attempts} retries`, {
    fields: { wanted: total, missing },
  });
}

/** Brings every memory block on line. All are tried; the first failure is thrown then. */
export async function onlineMemory({ sysDir = '/sys' }: CpuMemoryOptions = {}): Promise<void> {
  try {
    await setOnline(join(sysDir, 'devices/system/memory'), /^memory\d+$/, Number.POSITIVE_INFINITY);
  } catch (error) {
    throw fromErrno(error, 'bring memory on line');
  }
}

/** Tells the kernel of memory that was plugged in without ACPI. @param addresses physical, of a block each */
export async function probeMemory(addresses: readonly bigint[], { sysDir = '/sys' }: CpuMemoryOptions = {}): Promise<void> {
  if (addresses.length > MAX_PROBE_ADDRESSES) {
    throw new AgentError('resource_exhausted', `memHotplugProbeAddr: more than ${MAX_PROBE_ADDRESSES} addresses`, {
      fields: { limit: 'probe-addresses' },
    });
  }
  const file = join(sysDir, 'devices/system/memory/probe');
  for (const address of addresses) {
    const text = `0x${address.toString(16).toUpperCase()}`;
    try {
      await writeAttribute(file, text);
    } catch (error) {
      throw fromErrno(error, `probe for memory at ${text}`, { address });
    }
  }
}

/** How many numbers a list of the kernel's holds: 4 in `0-2,5`. @throws internal for text of another form */
export function countCpuList(text: string): number {
  let count = 0;
  for (const range of text.trim().split(',')) {
    const [, first, last] = /^(\d{1,6})(?:-(\d{1,6}))?$/.exec(range) ?? [];
    const size = first === undefined ? 0 : Number(last ?? first) - Number(first) + 1;
    if (size < 1) throw new AgentError('internal', `${JSON.stringify(text.slice(0, 80))} is no list of CPUs`);
    count += size;
  }
  return count;
}

async function countOnline(directory: string): Promise<number> {
  try {
    return countCpuList(await readFile(join(directory, 'online'), 'utf8'));
  } catch (error) {
    throw fromErrno(error, 'count the CPUs on line');
  }
}

/** At most `limit` of the devices that are off line, one after the other. */
async function setOnline(directory: string, name: RegExp, limit: number): Promise<void> {
  let left = limit;
  const failures: unknown[] = [];
  for (const entry of (await readdir(directory)).filter((found) => name.test(found))) {
    if (left <= 0) break;
    const file = join(directory, entry, 'online');
    try {
      // CPU 0 and some blocks can't go off line and have no such file.
      if ((await readFile(file, 'utf8')).trim() !== '0') continue;
      await writeAttribute(file, '1');
      left--;
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}
