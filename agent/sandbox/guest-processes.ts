// Starts processes of the guest itself, outside of every container: in the agent's own namespaces, each in a cgroup of its own.
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Native, native } from '../../native/index.ts';
import { Cgroup } from '../container/cgroup.ts';
import { writeCgroupFile } from '../container/cgroup-file.ts';
import { adoptCgroup } from '../container/exec-cgroups.ts';
import { ProcessCgroup } from '../container/process-cgroup.ts';
import { removeScratchFile } from '../container/scratch-file.ts';
import { WORKLOAD_CGROUP } from '../container/spec/context.ts';
import { AgentError, errnoOf, isErrno } from '../errors.ts';
import { faultPoint } from '../fault-point.ts';
import { readMounts } from '../guest/mount-table.ts';
import type { StateStore } from '../keeper/journal.ts';
import type { Keeper } from '../keeper/keeper.ts';
import { readStartTime, ticksSinceBoot } from '../keeper/proc-start-time.ts';
import type { Logger } from '../log.ts';
import { adoptProcess, type StartedFacts } from '../process/adopt-process.ts';
import { ContainerProcess, openPidfd } from '../process/container-process.ts';
import { type LaunchSpec, launchInGuest } from '../process/launcher.ts';
import { type ProcessFacts, type ProcessRecord, recordProcess } from '../process/process-record.ts';
import { startError } from '../process/start-failure.ts';
import { type OutputOptions, type PreparedStdio, prepareOwnTerminal, prepareStdio } from '../process/stdio.ts';
import { newStdioKey } from '../process/stdio-store.ts';
import type { Budget } from '../process/stream/budget.ts';

/** Of all of them, beside the containers'. */
const PARENT = `${WORKLOAD_CGROUP}/processes`;
/** Names that something has taken. */
const MAX_TAKEN = 64;

export interface GuestProcessHost {
  readonly keeper: Keeper;
  readonly state: StateStore;
  readonly log: Logger;
  readonly logBudget: Budget;
  readonly runtimeDir: string;
  readonly pipeSizeBytes: number;
  /** Path of berth-init. */
  readonly launcher: string;
  /** A path that nothing has. */
  readonly newPidFile: () => string;
}

export interface GuestStart {
  readonly processId: string;
  readonly spec: Omit<LaunchSpec, 'cgroupProcs' | 'pidFile'>;
  readonly output: OutputOptions;
  readonly stdin: boolean;
  readonly size?: { readonly rows: number; readonly columns: number } | undefined;
  /** Written down with it. */
  readonly owner?: unknown;
}

export interface GuestStarted {
  readonly process: ContainerProcess;
  readonly cgroup: ProcessCgroup;
}

export class GuestProcesses {
  readonly #host: GuestProcessHost;
  readonly #door: Pick<Native, 'openPty' | 'close' | 'setWinsize'>;
  /** Where cgroup2 is mounted, once what is needed there has been made. */
  #root: Promise<string> | undefined;
  #made = 0;

  constructor(host: GuestProcessHost, door = native()) {
    this.#host = host;
    this.#door = door;
  }

  /** Runs when this resolves; nothing is left when it fails. @throws the errors of start-failure.ts */
  async start(start: GuestStart): Promise<GuestStarted> {
    const { processId, spec, stdin, owner } = start;
    const { keeper, state, launcher } = this.#host;
    await state.ready();
    const cgroup = await this.#makeCgroup();
    const pidFile = this.#host.newPidFile();
    let record: ProcessRecord | undefined;
    try {
      const key = newStdioKey();
      const since = ticksSinceBoot();
      const facts = { containerId: '', execId: processId, args: spec.args, since, streams: key.toString('hex'), owner };
      record = recordProcess(state, { ...facts, pidFile, cgroup: cgroup.path });
      faultPoint('guest-start:recorded');
      const prepared = await this.#prepareStdio(start, key);
      const [, out, err] = prepared.childFds;
      const fds: [number, number, number] = stdin || spec.terminal ? [...prepared.childFds] : [-1, out, err];
      let pid: number;
      try {
        pid = await launchInGuest(launcher, { ...spec, cgroupProcs: cgroup.procsFile, pidFile }, fds);
      } catch (error) {
        await prepared.abandon();
        throw error;
      }
      faultPoint('guest-start:launched');
      const startTime = await readStartTime(pid);
      const exit = keeper.exitOf(pid, startTime, since);
      exit.catch(() => {});
      const stdio = await prepared.attach();
      if (!stdin && !spec.terminal) stdio.stdin.close();
      record.update({ pid, startTime, startedAt: Date.now() });
      faultPoint('guest-start:started');
      const identity = { containerId: '', execId: processId, pid, startTime };
      return {
        process: new ContainerProcess({ identity, args: spec.args, record, stdio, exit, pidfd: openPidfd(pid) }),
        cgroup,
      };
    } catch (error) {
      record?.drop();
      void cgroup.killAll().then(() => cgroup.release());
      throw error;
    } finally {
      await removeScratchFile(pidFile);
    }
  }

  /** One that an earlier agent started. */
  async adopt(facts: StartedFacts): Promise<GuestStarted> {
    this.#root ??= this.#prepareRoot();
    const cgroup = adoptCgroup(facts.cgroup ?? '', { keepFigures: true, root: await this.#root });
    return { process: await adoptProcess(this.#host, facts), cgroup };
  }

  /** Ends what an earlier agent was about to start: nobody has heard of it. */
  async undo(facts: Pick<ProcessFacts, 'cgroup'>): Promise<void> {
    this.#root ??= this.#prepareRoot();
    const cgroup = adoptCgroup(facts.cgroup ?? '', { keepFigures: false, root: await this.#root });
    await cgroup.killAll();
    void cgroup.release();
  }

  async #makeCgroup(): Promise<ProcessCgroup> {
    try {
      this.#root ??= this.#prepareRoot();
      const root = await this.#root;
      for (let taken = 0; ; taken++) {
        const cgroup = new Cgroup(`${PARENT}/${this.#made++}`, { root });
        try {
          await cgroup.make();
          return new ProcessCgroup(cgroup, { keepFigures: true });
        } catch (error) {
          // An earlier agent's, with something alive in it.
          if (!isErrno(error, 'EEXIST') || taken >= MAX_TAKEN) throw error;
        }
      }
    } catch (error) {
      this.#root = undefined;
      throw startError({ stage: 'resources', errnoName: errnoOf(error) ?? '' }, `make a cgroup: ${String(error)}`, error);
    }
  }

  /** Memory is counted for each one below. What an earlier agent left there gets other numbers. */
  async #prepareRoot(): Promise<string> {
    const root = (await readMounts()).find(({ fstype }) => fstype === 'cgroup2')?.target;
    if (root === undefined) throw new AgentError('failed_precondition', 'cgroup2 is not mounted');
    const directory = join(root, PARENT);
    await mkdir(directory, { recursive: true, mode: 0o755 });
    for (const name of await readdir(directory)) {
      // Files of the kernel's are no directories, and what is alive stays.
      if (/^\d+$/.test(name)) await new Cgroup(`${PARENT}/${name}`, { root }).removeIfEmpty();
    }
    this.#made = Math.max(this.#made, Number(ticksSinceBoot()));
    // Without the controller there are no figures of it.
    await writeCgroupFile(join(directory, 'cgroup.subtree_control'), '+memory').catch((error: unknown) => {
      if (!isErrno(error, 'EINVAL', 'ENOENT')) throw error;
    });
    return root;
  }

  async #prepareStdio({ spec, output, stdin, size }: GuestStart, key: Buffer): Promise<PreparedStdio> {
    const { logBudget: budget, runtimeDir, pipeSizeBytes, keeper } = this.#host;
    const { terminal } = spec;
    const options = { terminal, stdin, keep: { store: keeper.fds, key }, budget, output, runtimeDir, pipeSizeBytes };
    try {
      return terminal ? await prepareOwnTerminal(options, size, this.#door) : await prepareStdio(options);
    } catch (error) {
      throw startError({ stage: 'resources', errnoName: errnoOf(error) ?? '' }, `make the streams: ${String(error)}`, error);
    }
  }
}
