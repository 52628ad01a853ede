// How full a volume is (Container Storage Interface, NodeGetVolumeStats).
import { constants } from 'node:fs';
import { open, statfs } from 'node:fs/promises';
import { AgentError, fromErrno } from '../../errors.ts';
import { withinMs } from '../deadline.ts';
import { checkAbsolutePath } from '../spec/paths.ts';

/** kubelet asks again in a minute. */
const TIMEOUT_MS = 10_000;
/** Volumes that do not answer cost a thread each, of the few there are. */
const MAX_READINGS = 4;

/** In bytes, or in inodes. */
export interface VolumeUse {
  readonly total: bigint;
  readonly available: bigint;
  readonly used: bigint;
}

export interface VolumeStats {
  readonly bytes: VolumeUse;
  readonly inodes: VolumeUse;
}

export interface VolumeStatsOptions {
  timeoutMs?: number;
  read?: (path: string) => Promise<VolumeStats>;
}

export class VolumeStatsReader {
  readonly #timeoutMs: number;
  readonly #read: (path: string) => Promise<VolumeStats>;
  /** By path: one reading at a time, however many ask. */
  readonly #readings = new Map<string, Promise<VolumeStats>>();

  constructor({ timeoutMs = TIMEOUT_MS, read = readStats }: VolumeStatsOptions = {}) {
    this.#timeoutMs = timeoutMs;
    this.#read = read;
  }

  /** @throws not_found, invalid_argument, deadline_exceeded, resource_exhausted when too many volumes hang */
  async read(path: string): Promise<VolumeStats> {
    const checked = checkAbsolutePath(path, 'volume_guest_path');
    try {
      return await withinMs(this.#timeoutMs, `read the usage of ${checked}`, this.#reading(checked));
    } catch (error) {
      throw fromErrno(error, `read the usage of ${checked}`, { path: checked });
    }
  }

  #reading(path: string): Promise<VolumeStats> {
    const begun = this.#readings.get(path);
    if (begun !== undefined) return begun;
    if (this.#readings.size >= MAX_READINGS) {
      throw new AgentError('resource_exhausted', `${MAX_READINGS} volumes are being read`, {
        fields: { limit: 'volume-readings' },
      });
    }
    const reading = this.#read(path).finally(() => this.#readings.delete(path));
    this.#readings.set(path, reading);
    return reading;
  }
}

/** Free is what root could write, as Kata counts it; file systems keep a part of that to root. */
async function readStats(path: string): Promise<VolumeStats> {
  // Opened first, so that an automatic mount is there, and held, so that both figures are of one file system.
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const { bsize, blocks, bfree, files, ffree } = await statfs(`/proc/self/fd/${handle.fd}`, { bigint: true });
    return { bytes: use(blocks * bsize, bfree * bsize), inodes: use(files, ffree) };
  } finally {
    await handle.close();
  }
}

function use(total: bigint, available: bigint): VolumeUse {
  return { total, available, used: total - available };
}
