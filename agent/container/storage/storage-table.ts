// Which storages are attached, and who holds them. One entry a mount point, counted by its holders.
// INVARIANTS: the work on one mount point is done one step after the other; an entry is in the table from before its
// driver's first effect until after its last trace is gone; a failed add leaves nothing of its own behind. Work that hangs in
// the kernel ends its caller's wait, not itself: what it makes after that is undone as soon as it has made it.

import { MS } from '../../../native/index.ts';
import { AgentError } from '../../errors.ts';
import { Lane } from '../../guest/lane.ts';
import type { StateStore } from '../../keeper/journal.ts';
import { applyFsGroup } from './fs-group.ts';
import { adoptMade, leave, madeUpTo } from './made-paths.ts';
import { parseMountOptions } from './mount-options.ts';
import { checkMountPoint, unmountFrom } from './mount-target.ts';
import { type Progress, withPatience } from './patience.ts';
import { groupLayers } from './root-layers.ts';
import { NOTHING_TO_DETACH, type Storage, type StorageDriver, type StorageHost } from './storage.ts';
import { STORAGE_DRIVERS } from './storage-drivers.ts';
import { Held, type HeldStorages, type Hold, StorageEntry } from './storage-entry.ts';

/** Of one request. */
const MAX_STORAGES = 256;
/** The addon has 64 threads for calls that may hang: half of them are left for other calls, whatever the storages do. */
const MAX_ATTACHING = 32;
/** Kata's hosts wait 30 or 60 s for a container. */
const ATTACH_PATIENCE_MS = 20_000;
const DETACH_PATIENCE_MS = 10_000;

export const STORAGE_KIND = 'storage';

/** What is written down of one mount point. */
export interface StorageFacts {
  readonly storage: Storage;
  readonly containerId: string;
  readonly attached: boolean;
  /** The mount is the agent's to take off. */
  readonly ours: boolean;
  /** Of the mount point and what is above it. */
  readonly made: readonly string[];
}

export interface TableLimits {
  /** Where what is attached is written down. */
  readonly state?: StateStore;
  readonly attachPatienceMs?: number;
  readonly detachPatienceMs?: number;
}

export class StorageTable {
  readonly #host: StorageHost;
  readonly #drivers: ReadonlyMap<string, StorageDriver>;
  readonly #entries = new Map<string, StorageEntry>();
  readonly #attaching = new Lane({ name: 'attached-storages', width: MAX_ATTACHING, maxWaiting: 1024 });
  readonly #state: StateStore | undefined;
  readonly #attachPatienceMs: number;
  readonly #detachPatienceMs: number;

  constructor(host: StorageHost, drivers: readonly StorageDriver[] = STORAGE_DRIVERS, limits: TableLimits = {}) {
    this.#host = host;
    this.#drivers = new Map(drivers.map((driver) => [driver.name, driver]));
    this.#state = limits.state;
    this.#attachPatienceMs = limits.attachPatienceMs ?? ATTACH_PATIENCE_MS;
    this.#detachPatienceMs = limits.detachPatienceMs ?? DETACH_PATIENCE_MS;
  }

  /** Names of the drivers, sorted. */
  get driverNames(): string[] {
    return [...this.#drivers.keys()].sort();
  }

  /**
   * Attaches the storages in their order; one whose mount point is in use already is only counted.
   * @throws what the first failing one throws, after those before it were given back; deadline_exceeded naming the storage that
   * hangs
   */
  async add(storages: readonly Storage[], { containerId }: { containerId?: string }): Promise<HeldStorages> {
    if (storages.length > MAX_STORAGES) {
      throw new AgentError('resource_exhausted', `more than ${MAX_STORAGES} storages`, {
        fields: { limit: 'storages-per-request' },
      });
    }
    const checked = groupLayers(storages).map((storage) => this.#check(storage));
    const held = new Held();
    try {
      for (const { storage, driver } of checked) held.holds.push(await this.#holdInTime(storage, driver, containerId));
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
    const { holds } = held as Held;
    const stuck: Hold[] = [];
    let failure: unknown;
    for (let hold = holds.pop(); hold !== undefined; hold = holds.pop()) {
      try {
        await this.#giveBack(hold);
      } catch (error) {
        stuck.unshift(hold);
        failure ??= error;
      }
    }
    holds.push(...stuck);
    if (stuck.length > 0) throw failure;
  }

  /** Detaches everything, shared or not, the newest first: the end of the sandbox. The first failure is thrown after all were tried. */
  async releaseAll(): Promise<void> {
    const results: PromiseSettledResult<void>[] = [];
    for (const entry of [...this.#entries.values()].reverse()) {
      const detaching = this.#detachInTime(entry, () => this.#detach(entry));
      results.push(...(await Promise.allSettled([detaching])));
    }
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  /** Goes on with what an earlier agent attached. Nobody holds it until `hold`. */
  async adopt({ storage, containerId, attached, ours, made }: StorageFacts): Promise<void> {
    const { mountPoint } = storage;
    const driver = this.#drivers.get(storage.driver);
    adoptMade(made);
    const detachMount = async () => {
      await unmountFrom(this.#host.door, mountPoint);
      await leave(mountPoint);
    };
    const detach =
      attached && driver?.adopt !== undefined
        ? await driver.adopt(storage, this.#host, containerId || undefined)
        : ours && storage.driver !== 'local'
          ? detachMount
          : NOTHING_TO_DETACH;
    this.#entries.set(mountPoint, new StorageEntry(storage, detach));
  }

  /** What one holder had of an earlier agent; mount points that are not known are left out. */
  hold(mountPoints: readonly string[]): HeldStorages {
    const held = new Held();
    for (const mountPoint of mountPoints) {
      const entry = this.#entries.get(mountPoint);
      if (entry !== undefined) held.holds.push(entry.hold());
    }
    return held;
  }

  /** Detaches what nobody holds and nobody will ask for: left by what was half made. The first failure is thrown after all were tried. */
  async releaseUnheld(): Promise<void> {
    const failures: unknown[] = [];
    for (const entry of [...this.#entries.values()].reverse()) {
      if (entry.holders > 0 || entry.storage.shared) continue;
      await this.#detachInTime(entry, () => this.#detach(entry)).catch((error: unknown) => failures.push(error));
    }
    if (failures.length > 0) throw failures[0];
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

  async #holdInTime(storage: Storage, driver: StorageDriver, containerId: string | undefined): Promise<Hold> {
    const { mountPoint, source } = storage;
    return await withPatience(
      {
        patienceMs: this.#attachPatienceMs,
        doing: `attach ${storage.driver} storage \`${source}\` on ${mountPoint}`,
        fields: { driver: storage.driver, source, mountPoint },
      },
      (progress) => this.#hold(storage, driver, containerId, progress),
      (hold) => this.#giveBack(hold),
    );
  }

  async #hold(storage: Storage, driver: StorageDriver, containerId: string | undefined, progress: Progress): Promise<Hold> {
    const entry = this.#entries.get(storage.mountPoint) ?? new StorageEntry(storage);
    this.#entries.set(storage.mountPoint, entry);
    return await entry.inTurn(async () => {
      // Its last holder may have gone while this one waited.
      if (this.#entries.get(storage.mountPoint) !== entry) return await this.#hold(storage, driver, containerId, progress);
      if (entry.detach === undefined) await this.#attach(entry, driver, containerId, progress);
      else entry.checkSame(storage);
      return entry.hold();
    });
  }

  async #attach(entry: StorageEntry, driver: StorageDriver, containerId: string | undefined, progress: Progress): Promise<void> {
    const { storage } = entry;
    try {
      await this.#attaching.run(async () => {
        progress.moved(this.#attachPatienceMs + (this.#host.hotplugTimeoutMs ?? 0) + (driver.extraPatienceMs?.(storage) ?? 0));
        this.#write(storage, { containerId, attached: false, ours: true });
        const detach = await driver.attach(storage, this.#host, containerId);
        try {
          if (storage.fsGroup) await applyFsGroup(storage.mountPoint, storage.fsGroup, isReadOnly(storage), progress);
        } catch (error) {
          await detach().catch(() => {});
          throw error;
        }
        entry.detach = detach;
        this.#write(storage, { containerId, attached: true, ours: detach !== NOTHING_TO_DETACH });
      }, progress.signal);
    } catch (error) {
      this.#forget(storage.mountPoint);
      throw error;
    }
  }

  async #giveBack(hold: Hold): Promise<void> {
    const { entry } = hold;
    await this.#detachInTime(entry, async () => {
      if (hold.given) return;
      if (entry.holders === 1 && !entry.storage.shared) await this.#detach(entry);
      entry.holders--;
      hold.given = true;
    });
  }

  async #detach(entry: StorageEntry): Promise<void> {
    const { mountPoint } = entry.storage;
    if (this.#entries.get(mountPoint) !== entry) return;
    await entry.detach?.();
    this.#forget(mountPoint);
  }

  #forget(mountPoint: string): void {
    this.#entries.delete(mountPoint);
    this.#state?.remove(STORAGE_KIND, mountPoint);
  }

  #write(storage: Storage, { containerId = '', ...facts }: Partial<StorageFacts> & { containerId?: string | undefined }): void {
    const { mountPoint } = storage;
    this.#state?.put(STORAGE_KIND, mountPoint, { storage, containerId, made: madeUpTo(mountPoint), ...facts });
  }

  async #detachInTime(entry: StorageEntry, step: () => Promise<void>): Promise<void> {
    const { driver, mountPoint } = entry.storage;
    await withPatience(
      {
        patienceMs: this.#detachPatienceMs,
        doing: `detach ${driver} storage from ${mountPoint}`,
        fields: { driver, mountPoint },
      },
      () => entry.inTurn(step),
    );
  }
}

function isReadOnly(storage: Storage): boolean {
  return (parseMountOptions(storage.options).flags & MS.RDONLY) !== 0;
}
