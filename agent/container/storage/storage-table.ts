// Which storages are attached, and who holds them. One entry a mount point, counted by its holders.
// INVARIANTS: the work on one mount point is done one step after the other; an entry is in the table from before its
// driver's first effect until after its last trace is gone; a failed add leaves nothing of its own behind.

import { MS } from '../../../native/index.ts';
import { AgentError } from '../../errors.ts';
import { blk, mmioblk, nvdimm, scsi } from './blk.ts';
import { ephemeral } from './ephemeral.ts';
import { applyFsGroup } from './fs-group.ts';
import { local } from './local.ts';
import { parseMountOptions } from './mount-options.ts';
import { checkMountPoint } from './mount-target.ts';
import { overlayfs } from './overlayfs.ts';
import type { Detach, Storage, StorageDriver, StorageHost } from './storage.ts';
import { virtioFs } from './virtio-fs.ts';

/** Of one request. */
const MAX_STORAGES = 256;

export const STORAGE_DRIVERS: readonly StorageDriver[] = [blk, mmioblk, scsi, nvdimm, virtioFs, overlayfs, ephemeral, local];

/** What one `add` holds; give it back with `release`. */
export interface HeldStorages {
  /** Mount points still held, in the order of the request. */
  readonly mountPoints: readonly string[];
}

interface Entry {
  readonly storage: Storage;
  holders: number;
  detach: Detach | undefined;
  /** The last step begun on this mount point; never rejects. */
  turn: Promise<void>;
}

class Held implements HeldStorages {
  readonly entries: Entry[] = [];

  get mountPoints(): readonly string[] {
    return this.entries.map(({ storage }) => storage.mountPoint);
  }
}

export class StorageTable {
  readonly #host: StorageHost;
  readonly #drivers: ReadonlyMap<string, StorageDriver>;
  readonly #entries = new Map<string, Entry>();

  constructor(host: StorageHost, drivers: readonly StorageDriver[] = STORAGE_DRIVERS) {
    this.#host = host;
    this.#drivers = new Map(drivers.map((driver) => [driver.name, driver]));
  }

  /** Names of the drivers, sorted. */
  get driverNames(): string[] {
    return [...this.#drivers.keys()].sort();
  }

  /**
   * Attaches the storages in their order; one whose mount point is in use already is only counted.
   * @throws what the first failing one throws, after those before it were given back
   */
  async add(storages: readonly Storage[], { containerId }: { containerId?: string }): Promise<HeldStorages> {
    if (storages.length > MAX_STORAGES) {
      throw new AgentError('resource_exhausted', `more than ${MAX_STORAGES} storages`, {
        fields: { limit: 'storages-per-request' },
      });
    }
    const checked = storages.map((storage) => this.#check(storage));
    const held = new Held();
    try {
      for (const { storage, driver } of checked) held.entries.push(await this.#hold(storage, driver, containerId));
      return held;
    } catch (error) {
      await this.release(held).catch(() => {});
      throw error;
    }
  }

  /**
   * Gives storages back, the last first; those that nobody holds any more are detached, unless they are shared.
   * All are tried; what could not be detached stays held, so that it can be tried again.
   */
  async release(held: HeldStorages): Promise<void> {
    const { entries } = held as Held;
    const stuck: Entry[] = [];
    let failure: unknown;
    for (let entry = entries.pop(); entry !== undefined; entry = entries.pop()) {
      try {
        await this.#letGo(entry, false);
      } catch (error) {
        stuck.unshift(entry);
        failure ??= error;
      }
    }
    entries.push(...stuck);
    if (stuck.length > 0) throw failure;
  }

  /** Detaches everything, shared or not, the newest first: the end of the sandbox. The first failure is thrown after all were tried. */
  async releaseAll(): Promise<void> {
    const results: PromiseSettledResult<void>[] = [];
    for (const entry of [...this.#entries.values()].reverse()) {
      results.push(...(await Promise.allSettled([this.#letGo(entry, true)])));
    }
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  #check(storage: Storage): { storage: Storage; driver: StorageDriver } {
    const driver = this.#drivers.get(storage.driver);
    if (driver === undefined) {
      throw new AgentError('not_found', `Failed to find the storage handler ${storage.driver}`, {
        fields: { driver: storage.driver },
      });
    }
    return { storage: { ...storage, mountPoint: checkMountPoint(storage.mountPoint) }, driver };
  }

  async #hold(storage: Storage, driver: StorageDriver, containerId: string | undefined): Promise<Entry> {
    const entry = this.#entries.get(storage.mountPoint) ?? { storage, holders: 0, detach: undefined, turn: Promise.resolve() };
    this.#entries.set(storage.mountPoint, entry);
    return await this.#inTurn(entry, async () => {
      // Its last holder may have gone while this one waited.
      if (this.#entries.get(storage.mountPoint) !== entry) return await this.#hold(storage, driver, containerId);
      if (entry.detach === undefined) await this.#attach(entry, driver, containerId);
      else checkSame(entry.storage, storage);
      entry.holders++;
      return entry;
    });
  }

  async #attach(entry: Entry, driver: StorageDriver, containerId: string | undefined): Promise<void> {
    const { storage } = entry;
    try {
      const detach = await driver.attach(storage, this.#host, containerId);
      try {
        if (storage.fsGroup) await applyFsGroup(storage.mountPoint, storage.fsGroup, isReadOnly(storage));
      } catch (error) {
        await detach().catch(() => {});
        throw error;
      }
      entry.detach = detach;
    } catch (error) {
      this.#entries.delete(storage.mountPoint);
      throw error;
    }
  }

  async #letGo(entry: Entry, whoeverHolds: boolean): Promise<void> {
    await this.#inTurn(entry, async () => {
      if (this.#entries.get(entry.storage.mountPoint) !== entry) return;
      const last = entry.holders <= 1;
      if (whoeverHolds || (last && !entry.storage.shared)) {
        await entry.detach?.();
        this.#entries.delete(entry.storage.mountPoint);
      }
      entry.holders = Math.max(0, entry.holders - 1);
    });
  }

  async #inTurn<T>(entry: Entry, step: () => Promise<T>): Promise<T> {
    const done = entry.turn.then(step);
    entry.turn = done.then(
      () => {},
      () => {},
    );
    return await done;
  }
}

/** Two things can't be mounted in one place. */
function checkSame(held: Storage, asked: Storage): void {
  if (held.driver === asked.driver && held.source === asked.source) return;
  throw new AgentError('already_exists', `${asked.mountPoint} is taken by ${held.driver} storage \`${held.source}\``, {
    fields: { mountPoint: asked.mountPoint },
  });
}

function isReadOnly(storage: Storage): boolean {
  return (parseMountOptions(storage.options).flags & MS.RDONLY) !== 0;
}
