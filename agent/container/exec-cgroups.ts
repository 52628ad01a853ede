// A cgroup for each process that is added to a container, below the container's own.
import { join } from 'node:path';
import { fromErrno, isErrno } from '../errors.ts';
import { ticksSinceBoot } from '../keeper/proc-start-time.ts';
import { Cgroup } from './cgroup.ts';
import { readCgroupFile, writeCgroupFile } from './cgroup-file.ts';
import { readMembers } from './cgroup-members.ts';
import { ProcessCgroup } from './process-cgroup.ts';

/** Where the container's own processes go when its cgroup is to hand controllers down. */
const LEAF = 'init';
/** Names that the container itself may have taken. */
const MAX_TAKEN = 64;
/** Rounds of moving, for what forks meanwhile. */
const MAX_ROUNDS = 20;

export class ExecCgroups {
  readonly #cgroup: Cgroup;
  readonly init: ProcessCgroup;
  #made = 0;
  #delegated: Promise<boolean> | undefined;

  /** @param adopted whether an earlier agent, where there was one, has handed the controllers down */
  constructor(cgroup: Cgroup, adopted?: { delegated: boolean }) {
    this.#cgroup = cgroup;
    if (adopted !== undefined) {
      // Beyond the numbers that are taken.
      this.#made = Number(ticksSinceBoot());
      if (adopted.delegated) this.#delegated = Promise.resolve(true);
    }
    this.init = new ProcessCgroup(cgroup, { keepFigures: false, own: LEAF });
  }

  /**
   * For a process that is added without wanting one: where controllers are handed down no process may be at the top, and crun would look
   * for a place by itself.
   */
  async ifNeeded(): Promise<ProcessCgroup | undefined> {
    return (await this.#delegated) === true ? await this.#make({ keepFigures: false }) : undefined;
  }

  /** A new, empty one, with figures of memory where the container's cgroup can hand them down. */
  async make(): Promise<ProcessCgroup> {
    this.#delegated ??= this.#delegate();
    await this.#delegated;
    return await this.#make({ keepFigures: true });
  }

  async #make(options: { keepFigures: boolean }): Promise<ProcessCgroup> {
    for (let taken = 0; ; taken++) {
      const cgroup = new Cgroup(`${this.#cgroup.path}/exec-${this.#made++}`, this.#cgroup.options);
      try {
        await cgroup.make();
        return new ProcessCgroup(cgroup, options);
      } catch (error) {
        if (!isErrno(error, 'EEXIST') || taken >= MAX_TAKEN) throw fromErrno(error, `make the cgroup ${cgroup.path}`);
      }
    }
  }

  /**
   * Processes and controllers for children can't be in one cgroup (cgroup-v2.rst, "No Internal Process Constraint"), so the
   * container's processes move into a leaf. False where that does not work out: figures of memory are missing then, nothing else.
   */
  async #delegate(): Promise<boolean> {
    const { directory } = this.#cgroup;
    try {
      const available = (await readCgroupFile(join(directory, 'cgroup.controllers'))) ?? '';
      if (!available.split(/\s/).includes('memory')) return false;
      for (let round = 0; round < MAX_ROUNDS; round++) {
        if (await this.#enableMemory()) return true;
        await this.#moveToLeaf();
      }
      return false;
    } catch {
      return false;
    }
  }

  /** False while processes are in the way. */
  async #enableMemory(): Promise<boolean> {
    try {
      await writeCgroupFile(join(this.#cgroup.directory, 'cgroup.subtree_control'), '+memory');
      return true;
    } catch (error) {
      if (isErrno(error, 'EBUSY')) return false;
      throw error;
    }
  }

  async #moveToLeaf(): Promise<void> {
    const leaf = new Cgroup(`${this.#cgroup.path}/${LEAF}`, this.#cgroup.options);
    try {
      await leaf.make();
    } catch (error) {
      if (!isErrno(error, 'EEXIST')) throw error;
    }
    for (const pid of await readMembers(this.#cgroup.directory, { below: false })) {
      try {
        await writeCgroupFile(join(leaf.directory, 'cgroup.procs'), `${pid}`);
      } catch (error) {
        if (!isErrno(error, 'ESRCH')) throw error;
      }
    }
  }
}

/** Whether the cgroup's controllers are handed down to those below it. */
export async function isDelegated(cgroup: Cgroup): Promise<boolean> {
  const enabled = (await readCgroupFile(join(cgroup.directory, 'cgroup.subtree_control'))) ?? '';
  return enabled.split(/\s/).includes('memory');
}

/** The cgroup of one process that an earlier agent made. */
export function adoptCgroup(path: string, options: { keepFigures: boolean; root?: string }): ProcessCgroup {
  const { keepFigures, root } = options;
  return new ProcessCgroup(new Cgroup(path, root === undefined ? {} : { root }), { keepFigures });
}
