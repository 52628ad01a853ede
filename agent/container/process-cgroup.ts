// The cgroup of one process: itself and everything it starts, however it forks or daemonises. Kill, figures, members.
// INVARIANT: the directory goes with the process when nothing else lives there; what a survivor keeps goes with the container.
import { join } from 'node:path';
import { fromErrno, isErrno } from '../errors.ts';
import type { Cgroup } from './cgroup.ts';
import { parseFlatKeyed, readCgroupFile } from './cgroup-file.ts';
import { readMembers, signalMembers } from './cgroup-members.ts';
import { withinMs } from './deadline.ts';
import { readResidentBytes } from './process-status.ts';

/** The exit is told then at the latest, whatever the cgroup does. */
const LAST_LOOK_MS = 500;
/** What was killed along with the process is gone by then. */
const SURVIVORS_MS = 2_000;

export interface ProcessFigures {
  readonly cpuUserUs: bigint;
  readonly cpuSystemUs: bigint;
  readonly processes: number;
  readonly residentBytes: bigint;
  /** Processes that the kernel's memory limit has killed; 0 where the cgroup has no memory controller. */
  readonly oomKills: bigint;
}

export const NO_FIGURES: ProcessFigures = { cpuUserUs: 0n, cpuSystemUs: 0n, processes: 0, residentBytes: 0n, oomKills: 0n };

export class ProcessCgroup {
  readonly #cgroup: Cgroup;
  /** What belongs to the process itself where others' cgroups lie below: an init's leaf. */
  readonly #own: string | undefined;
  readonly #keepFigures: boolean;
  #last: ProcessFigures | undefined;

  /**
   * @param options.keepFigures for those who ask after the process has ended, when its directory is gone
   * @param options.own directory below, when the cgroup holds other processes' cgroups too
   */
  constructor(cgroup: Cgroup, options: { keepFigures: boolean; own?: string }) {
    this.#cgroup = cgroup;
    this.#own = options.own;
    this.#keepFigures = options.keepFigures;
  }

  /** Below its container's cgroup, as crun takes it: `/exec-3`. */
  get name(): string {
    return this.#cgroup.path.slice(this.#cgroup.path.lastIndexOf('/'));
  }

  /** From the mount of cgroup2 on. */
  get path(): string {
    return this.#cgroup.path;
  }

  /** Where a process enters it. */
  get procsFile(): string {
    return join(this.#cgroup.directory, 'cgroup.procs');
  }

  /** Figures now; of a process whose cgroup has gone the last ones. */
  async figures(): Promise<ProcessFigures> {
    if (this.#last !== undefined) return this.#last;
    const read = await this.#read();
    // The directory may have gone while it was being read.
    return this.#last ?? read;
  }

  /** Pids, without those of other processes' cgroups below. */
  async members(): Promise<number[]> {
    if (this.#own === undefined) return await readMembers(this.#cgroup.directory);
    const [here, own] = [this.#cgroup.directory, join(this.#cgroup.directory, this.#own)];
    return [...(await readMembers(here, { below: false })), ...(await readMembers(own))];
  }

  /** SIGKILL to all, whatever they do about signals. */
  killAll(): Promise<void> {
    return this.#cgroup.killAll();
  }

  /** @param but one that is left out @throws invalid_argument for a signal that does not exist */
  async signalAll(signal: number, but?: number): Promise<void> {
    try {
      await signalMembers(this.#cgroup.directory, this.#cgroup.path, signal, but);
    } catch (error) {
      throw fromErrno(error, `signal ${signal} to all of ${this.#cgroup.path}`, { field: 'signal' });
    }
  }

  /** Whether nothing lives in it. */
  async isEmpty(): Promise<boolean> {
    return !(await this.#cgroup.populated());
  }

  emptiedWithin(timeoutMs: number): Promise<boolean> {
    return this.#cgroup.emptiedWithin(timeoutMs);
  }

  /**
   * Whether the memory limit has killed any of it, for those who are told of the exit: one file, which takes well below a millisecond
   * unless the kernel is stuck. False when it can't be told in time.
   */
  async oomKilledAtExit(): Promise<boolean> {
    const events = readCgroupFile(join(this.#cgroup.directory, 'memory.events'));
    try {
      const text = await withinMs(LAST_LOOK_MS, `read memory.events of ${this.#cgroup.path}`, events);
      return (parseFlatKeyed(text).get('oom_kill') ?? 0n) > 0n;
    } catch {
      return false;
    }
  }

  /** Removes the directory if nothing lives there, or stops living there soon. */
  async release(): Promise<boolean> {
    try {
      if (await this.#remove()) return true;
      return (await this.emptiedWithin(SURVIVORS_MS)) && (await this.#remove());
    } catch {
      return false;
    }
  }

  async #remove(): Promise<boolean> {
    const last = this.#last ?? (this.#keepFigures ? await this.#read() : NO_FIGURES);
    // Before the directory goes: whoever asks in between gets these.
    this.#last = { ...last, processes: 0, residentBytes: 0n };
    const removed = await this.#cgroup.removeIfEmpty();
    if (!removed) this.#last = undefined;
    return removed;
  }

  async #read(): Promise<ProcessFigures> {
    const { directory } = this.#cgroup;
    try {
      const [cpuText, memoryText, pids] = await Promise.all([
        readCgroupFile(join(directory, 'cpu.stat')),
        readCgroupFile(join(directory, 'memory.events')),
        this.members(),
      ]);
      const cpu = parseFlatKeyed(cpuText);
      return {
        cpuUserUs: cpu.get('user_usec') ?? 0n,
        cpuSystemUs: cpu.get('system_usec') ?? 0n,
        processes: pids.length,
        residentBytes: await readResidentBytes(pids),
        oomKills: parseFlatKeyed(memoryText).get('oom_kill') ?? 0n,
      };
    } catch (error) {
      if (isErrno(error, 'ENOENT', 'ENODEV')) return NO_FIGURES;
      throw fromErrno(error, `read the figures of ${directory}`);
    }
  }
}
