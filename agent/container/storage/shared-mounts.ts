// Mounts of the directory that the host shares: a look at each lets virtiofsd forget files that are gone from the host.
import { stat } from 'node:fs/promises';
import { fromErrno } from '../../errors.ts';
import { type MountEntry, mountsBelow, readMounts } from '../../guest/mount-table.ts';
import { withinMs } from '../deadline.ts';

/** Where hosts put what containers use. */
export const SHARED_DIR = '/run/kata-containers/shared/containers';
/** A host that is alive answers in milliseconds; its caller waits 60 s. */
const TIMEOUT_MS = 10_000;

export interface SharedMountsOptions {
  directory?: string;
  timeoutMs?: number;
  mounts?: () => Promise<readonly MountEntry[]>;
  look?: (path: string) => Promise<unknown>;
}

export class SharedMounts {
  readonly #options: Required<SharedMountsOptions>;
  /** One round at a time, however many ask: a host that is stuck costs one thread. */
  #round: Promise<void> | undefined;

  constructor(options: SharedMountsOptions = {}) {
    this.#options = { directory: SHARED_DIR, timeoutMs: TIMEOUT_MS, mounts: readMounts, look: stat, ...options };
  }

  /** Looks at every mount point; what one of them answers is of no interest. @throws internal when the mounts can't be read; deadline_exceeded */
  async refresh(): Promise<void> {
    this.#round ??= this.#lookAtAll().finally(() => {
      this.#round = undefined;
    });
    await withinMs(this.#options.timeoutMs, `look at the mounts below ${this.#options.directory}`, this.#round);
  }

  async #lookAtAll(): Promise<void> {
    const { directory, mounts, look } = this.#options;
    let targets: string[];
    try {
      targets = mountsBelow(await mounts(), directory).filter((target) => target !== directory);
    } catch (error) {
      throw fromErrno(error, 'read the mounts of the guest');
    }
    for (const target of new Set(targets)) await look(target).catch(() => {});
  }
}
