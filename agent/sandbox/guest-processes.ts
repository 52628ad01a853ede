// Starts processes of the guest itself, outside of every container: in the agent's own namespaces, each in a cgroup of its own.
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Native, native } from '../../native/index.ts';
import { Cgroup } from '../container/cgroup.ts';
import { writeCgroupFile } from '../container/cgroup-file.ts';
import { ProcessCgroup } from '../container/process-cgroup.ts';
import { WORKLOAD_CGROUP } from '../container/spec/context.ts';
import { AgentError, errnoOf, isErrno } from '../errors.ts';
import { readMounts } from '../guest/mount-table.ts';
import type { Keeper } from '../keeper/keeper.ts';
import { readStartTime, ticksSinceBoot } from '../keeper/proc-start-time.ts';
import { ContainerProcess } from '../process/container-process.ts';
import { type LaunchSpec, launchInGuest } from '../process/launcher.ts';
import { startError } from '../process/start-failure.ts';
import { type OutputOptions, type PreparedStdio, prepareOwnTerminal, prepareStdio } from '../process/stdio.ts';
import { newStdioKey, type StdioStore } from '../process/stdio-store.ts';
import type { Budget } from '../process/stream/budget.ts';

/** Of all of them, beside the containers'. */
const PARENT = `${WORKLOAD_CGROUP}/processes`;
/** Names that something has taken. */
const MAX_TAKEN = 64;

export interface GuestProcessHost {
  readonly keeper: Keeper;
  /** Where streams outlive the agent; without it they end with it. */
  readonly fds?: StdioStore | undefined;
  readonly logBudget: Budget;
  readonly runtimeDir: string;
  readonly pipeSizeBytes: number;
  /** Path of berth-init. */
  readonly launcher: string;
}

export interface GuestStart {
  readonly processId: string;
  readonly spec: Omit<LaunchSpec, 'cgroupProcs'>;
  readonly output: OutputOptions;
  readonly stdin: boolean;
  /** Its streams are kept under this, where there is a store; one is made unless told. */
  readonly streamsKey?: Buffer | undefined;
  readonly size?: { readonly rows: number; readonly columns: number } | undefined;
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
    const { processId, spec, stdin } = start;
    const cgroup = await this.#makeCgroup();
    try {
      const prepared = await this.#prepareStdio(start);
      const [, out, err] = prepared.childFds;
      const fds: [number, number, number] = stdin || spec.terminal ? [...prepared.childFds] : [-1, out, err];
      const since = ticksSinceBoot();
      let pid: number;
      try {
        pid = await launchInGuest(this.#host.launcher, { ...spec, cgroupProcs: cgroup.procsFile }, fds);
      } catch (error) {
        await prepared.abandon();
        throw error;
      }
      const startTime = await readStartTime(pid);
      const exit = this.#host.keeper.exitOf(pid, startTime, since);
      const stdio = await prepared.attach();
      if (!stdin && !spec.terminal) stdio.stdin.close();
      const identity = { containerId: '', execId: processId, pid, startTime };
      return { process: new ContainerProcess(identity, spec.args, stdio, exit), cgroup };
    } catch (error) {
      void cgroup.release();
      throw error;
    }
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

  async #prepareStdio({ spec, output, stdin, streamsKey = newStdioKey(), size }: GuestStart): Promise<PreparedStdio> {
    const { fds, logBudget: budget, runtimeDir, pipeSizeBytes } = this.#host;
    const { terminal } = spec;
    const options = { terminal, stdin, keep: fds && { store: fds, key: streamsKey }, budget, output, runtimeDir, pipeSizeBytes };
    try {
      return terminal ? await prepareOwnTerminal(options, size, this.#door) : await prepareStdio(options);
    } catch (error) {
      throw startError({ stage: 'resources', errnoName: errnoOf(error) ?? '' }, `make the streams: ${String(error)}`, error);
    }
  }
}
