// The cgroup of one container (cgroup v2): its figures, freezing, killing, removal.
// INVARIANTS: every method ends within its deadline; a freeze that does not come about is undone.
import { mkdir, readdir, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AgentError, fromErrno, isErrno } from '../errors.ts';
import { Lane } from '../guest/lane.ts';
import { isGone, parseFlatKeyed, readCgroupFile, writeCgroupFile } from './cgroup-file.ts';
import { type ContainerStats, readStats } from './cgroup-stats.ts';
import { withinMs } from './deadline.ts';

export type { ContainerStats } from './cgroup-stats.ts';

const CGROUP_ROOT = '/sys/fs/cgroup';
/** Figures come in a millisecond; a poller must not wait for a cgroup that is stuck. */
const STATS_TIMEOUT_MS = 2_000;
/** Of all cgroups together; as many may wait as there may be containers. */
const STATS_LANE = new Lane({ name: 'cgroup-readings', width: 3, maxWaiting: 512 });
/** A task in the kernel freezes when it leaves it. */
const FREEZE_TIMEOUT_MS = 5_000;
const KILL_TIMEOUT_MS = 5_000;
/** A killed task keeps its cgroup busy until it is reaped. */
const REMOVE_TIMEOUT_MS = 5_000;
/** Between two looks at a state that is about to change: doubles from the first to the last. */
const FIRST_LOOK_MS = 1;
const LAST_LOOK_MS = 50;

export interface CgroupOptions {
  /** Where cgroup2 is mounted. */
  root?: string;
  freezeTimeoutMs?: number;
  statsTimeoutMs?: number;
}

export class Cgroup {
  /** Absolute path of the directory. */
  readonly directory: string;
  /** From the mount of cgroup2 on, as in the spec's cgroupsPath. */
  readonly path: string;
  readonly options: CgroupOptions;
  readonly #root: string;
  readonly #freezeTimeoutMs: number;
  readonly #statsTimeoutMs: number;
  /** One reading at a time, however many ask: a stuck cgroup costs one thread. */
  #reading: Promise<ContainerStats> | undefined;

  /** @param path absolute, counted from the mount of cgroup2, as in the spec's cgroupsPath */
  constructor(path: string, options: CgroupOptions = {}) {
    this.#root = options.root ?? CGROUP_ROOT;
    this.directory = join(this.#root, path);
    this.path = path;
    this.options = options;
    this.#freezeTimeoutMs = options.freezeTimeoutMs ?? FREEZE_TIMEOUT_MS;
    this.#statsTimeoutMs = options.statsTimeoutMs ?? STATS_TIMEOUT_MS;
  }

  /** @throws not_found when the cgroup is gone; deadline_exceeded */
  async stats(): Promise<ContainerStats> {
    this.#reading ??= STATS_LANE.run(() => readStats(this.directory)).finally(() => {
      this.#reading = undefined;
    });
    try {
      return await withinMs(this.#statsTimeoutMs, `read the figures of ${this.directory}`, this.#reading);
    } catch (error) {
      throw fromErrno(error, `read the figures of ${this.directory}`);
    }
  }

  /** Whether a process lives here or below; false when the cgroup is gone. */
  async populated(): Promise<boolean> {
    return (await this.#event('populated')) === 1n;
  }

  async frozen(): Promise<boolean> {
    return (await this.#event('frozen')) === 1n;
  }

  /** Resolves when every process has stopped. @throws deadline_exceeded, and all run on; not_found */
  async freeze(): Promise<void> {
    await this.#setFrozen(true);
  }

  /** @throws deadline_exceeded, not_found */
  async thaw(): Promise<void> {
    await this.#setFrozen(false);
  }

  /** SIGKILL to every process here and below, frozen ones too; resolves when it is sent. An empty or absent cgroup is fine. */
  async killAll(): Promise<void> {
    const doing = `kill all of ${this.directory}`;
    try {
      await withinMs(KILL_TIMEOUT_MS, doing, writeCgroupFile(join(this.directory, 'cgroup.kill'), '1'));
    } catch (error) {
      if (!isGone(error)) throw fromErrno(error, doing);
    }
  }

  /** Whether nothing lives here any more; waits for that at most `timeoutMs`. */
  async emptiedWithin(timeoutMs: number): Promise<boolean> {
    const deadline = Date.now() + timeoutMs;
    for (let wait = FIRST_LOOK_MS; await this.populated(); wait = Math.min(2 * wait, LAST_LOOK_MS)) {
      const left = deadline - Date.now();
      if (left <= 0) return false;
      await sleep(Math.min(wait, left));
    }
    return true;
  }

  /** Makes the directory; the one above has to be there. @throws EEXIST, ENOENT */
  async make(): Promise<void> {
    await mkdir(this.directory, { mode: 0o755 });
  }

  /** Removes the directory and those below it if nothing lives there. An absent one is fine. */
  removeIfEmpty(): Promise<boolean> {
    return removeTree(this.directory);
  }

  /**
   * Removes the directory, those below it, and those above it that are left empty, up to `keep`. An absent one is fine.
   * @param keep path as in the constructor; it and what is above it stay
   * @throws failed_precondition while a process lives here
   */
  async remove(keep = '/'): Promise<void> {
    const deadline = Date.now() + REMOVE_TIMEOUT_MS;
    for (let wait = FIRST_LOOK_MS; !(await removeTree(this.directory)); wait = Math.min(2 * wait, LAST_LOOK_MS)) {
      if (Date.now() > deadline) {
        throw new AgentError('failed_precondition', `${this.directory} still has processes`, {
          fields: { cgroup: this.directory },
        });
      }
      await sleep(wait);
    }
    await removeEmptyParents(this.directory, join(this.#root, keep));
  }

  async #setFrozen(frozen: boolean): Promise<void> {
    const doing = `${frozen ? 'freeze' : 'thaw'} ${this.directory}`;
    const file = join(this.directory, 'cgroup.freeze');
    try {
      await withinMs(this.#freezeTimeoutMs, doing, writeCgroupFile(file, frozen ? '1' : '0'));
      await this.#untilFrozenIs(frozen, doing);
    } catch (error) {
      if (frozen) await writeCgroupFile(file, '0').catch(() => {});
      throw fromErrno(error, doing);
    }
  }

  async #untilFrozenIs(frozen: boolean, doing: string): Promise<void> {
    const deadline = Date.now() + this.#freezeTimeoutMs;
    for (let wait = FIRST_LOOK_MS; (await this.frozen()) !== frozen; wait = Math.min(2 * wait, LAST_LOOK_MS)) {
      if (Date.now() > deadline) {
        throw new AgentError('deadline_exceeded', `${doing}: not done within ${this.#freezeTimeoutMs} ms`);
      }
      await sleep(wait);
    }
  }

  async #event(key: string): Promise<bigint | undefined> {
    return parseFlatKeyed(await readCgroupFile(join(this.directory, 'cgroup.events'))).get(key);
  }
}

export function openCgroup(path: string, options?: CgroupOptions): Cgroup {
  return new Cgroup(path, options);
}

/** False when something in it is still alive. */
async function removeTree(directory: string): Promise<boolean> {
  try {
    const entries = await readdir(directory, { withFileTypes: true });
    for (const entry of entries) {
      if (entry.isDirectory() && !(await removeTree(join(directory, entry.name)))) return false;
    }
    await rmdir(directory);
    return true;
  } catch (error) {
    if (isGone(error)) return true;
    if (isErrno(error, 'EBUSY')) return false;
    throw fromErrno(error, `remove ${directory}`);
  }
}

async function removeEmptyParents(directory: string, keep: string): Promise<void> {
  for (let parent = dirname(directory); parent.startsWith(`${keep === '/' ? '' : keep}/`); parent = dirname(parent)) {
    try {
      await rmdir(parent);
    } catch (error) {
      if (isErrno(error, 'EBUSY', 'ENOTEMPTY')) return;
      if (!isGone(error)) throw fromErrno(error, `remove ${parent}`);
    }
  }
}
