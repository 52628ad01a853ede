// The processes added to one container: their ids, how many there may be, their launch, and what is kept of them once they have ended.
// INVARIANT: an exec id is taken from before its process's first effect until the exec is forgotten.
import { AgentError } from '../errors.ts';
import { faultPoint } from '../fault-point.ts';
import type { Logger } from '../log.ts';
import { type ContainerProcess, type Exit, exitStatus } from '../process/container-process.ts';
import { type Bundle, writeBundleFile } from './bundle.ts';
import type { ContainerEvent, ContainerHost } from './container-host.ts';
import type { ExecCgroups } from './exec-cgroups.ts';
import { type LaunchRequest, launch } from './launch.ts';
import type { ProcessCgroup } from './process-cgroup.ts';
import { removeScratchFile } from './scratch-file.ts';
import { stringifySpec } from './spec/json.ts';
import type { ProcessSpec } from './spec/types.ts';

/** Running and unread execs of one container together. */
const MAX_EXECS = 1024;
/** Ended execs whose streams are kept for a late reader; older ones give up theirs first. */
const MAX_ENDED_EXECS = 64;

/** How the streams of an exec are kept, or where they go. */
export interface ExecOptions extends Pick<LaunchRequest, 'output' | 'passed' | 'stdin' | 'owner'> {
  /**
   * Keep it when it has ended until {@link ContainerExecs.forget}, with a cgroup of its own that the caller releases once it has read the
   * last figures. The caller bounds how many there are.
   */
  readonly keep?: boolean;
}

export interface ExecsParts {
  readonly containerId: string;
  readonly bundle: Bundle;
  readonly cgroups: ExecCgroups;
}

export class ContainerExecs {
  readonly #host: ContainerHost;
  readonly #parts: ExecsParts;
  readonly #log: Logger;
  readonly #byId = new Map<string, ContainerProcess>();
  readonly #cgroupOf = new WeakMap<ContainerProcess, ProcessCgroup>();
  /** Execs that are forgotten when their client says so, and not before. */
  readonly #kept = new WeakSet<ContainerProcess>();
  /** Exec ids between their check and their process. */
  readonly #starting = new Set<string>();
  #launched = 0;

  constructor(host: ContainerHost, parts: ExecsParts, log: Logger) {
    this.#host = host;
    this.#parts = parts;
    this.#log = log;
  }

  /** Those that can still be asked for. */
  get byId(): ReadonlyMap<string, ContainerProcess> {
    return this.#byId;
  }

  /** The cgroup that is its own; undefined for one without. */
  cgroupOf(process: ContainerProcess): ProcessCgroup | undefined {
    return this.#cgroupOf.get(process);
  }

  /** Takes the id, then starts what `prepare` gives, running when this resolves. @throws already_exists, resource_exhausted, prepare's */
  async start(execId: string, prepare: () => ProcessSpec, options: ExecOptions): Promise<ContainerProcess> {
    const { containerId } = this.#parts;
    this.#forgetFinished();
    if (execId === containerId || this.#byId.has(execId) || this.#starting.has(execId)) {
      throw new AgentError('already_exists', `exec_id '${execId}' already exists`, {
        fields: { container: containerId, exec: execId },
      });
    }
    if (this.#byId.size + this.#starting.size >= MAX_EXECS) {
      throw new AgentError('resource_exhausted', `container ${containerId} has ${MAX_EXECS} execs`, {
        fields: { limit: 'execs-per-container' },
      });
    }
    this.#starting.add(execId);
    try {
      const started = await this.#launch(execId, prepare(), options);
      if (options.keep) this.#kept.add(started);
      this.#byId.set(execId, started);
      return started;
    } finally {
      this.#starting.delete(execId);
    }
  }

  /** One that an earlier agent started. @param cgroup its own, unless it has gone with it */
  adopt(process: ContainerProcess, { keep, cgroup }: { keep: boolean; cgroup: ProcessCgroup | undefined }): void {
    if (keep) this.#kept.add(process);
    this.#byId.set(process.identity.execId, process);
    this.#watch(process, keep, cgroup);
  }

  /** Gives up an ended one: its streams and its record. @throws failed_precondition while it runs */
  forget(process: ContainerProcess): void {
    if (process.exit === undefined) {
      const { containerId, execId } = process.identity;
      throw new AgentError('failed_precondition', `process ${execId} of container ${containerId} still runs`, {
        fields: { container: containerId, exec: execId },
      });
    }
    this.#drop(process);
  }

  /** Closes the streams of all, once they have been killed. */
  close(): void {
    for (const process of this.#byId.values()) process.close();
  }

  async #launch(execId: string, process: ProcessSpec, options: ExecOptions): Promise<ContainerProcess> {
    const { keep = false, ...streams } = options;
    const { containerId, bundle, cgroups } = this.#parts;
    const cgroup = keep ? await cgroups.make() : await cgroups.ifNeeded();
    try {
      // The counter, not the exec id, names the file: ids are the client's text.
      const file = await writeBundleFile(bundle, `exec-${this.#launched++}.json`, stringifySpec(process));
      const started = await launch(this.#host, { ...streams, containerId, execId, process, cgroup: cgroup?.path }, (stdio) =>
        this.#host.crun.exec(containerId, file, cgroup?.name, stdio, process.oomScoreAdj),
      ).finally(() => removeScratchFile(file));
      faultPoint('exec:launched');
      this.#log.debug('process started', { container: containerId, exec: execId, pid: started.identity.pid });
      if (!keep) this.#tellOf(started, 'process.started', { fields: { pid: `${started.identity.pid}` } });
      this.#watch(started, keep, cgroup);
      return started;
    } catch (error) {
      void cgroup?.release();
      throw error;
    }
  }

  #watch(process: ContainerProcess, keep: boolean, cgroup: ProcessCgroup | undefined): void {
    if (cgroup !== undefined) this.#cgroupOf.set(process, cgroup);
    if (process.endedBefore) return;
    void process.exited.then((exit) => {
      this.#logExit(process, exit);
      if (keep) return;
      this.#tellOf(process, 'process.exited', { exit });
      void cgroup?.release();
    });
  }

  /** Makes room: drops execs that nobody needs, and the oldest ended ones beyond the bound. */
  #forgetFinished(): void {
    const ended = [...this.#byId.values()].filter((exec) => exec.exit !== undefined && !this.#kept.has(exec));
    const surplus = ended.length - MAX_ENDED_EXECS;
    ended.forEach((exec, index) => {
      if (exec.finished || index < surplus) this.#drop(exec);
    });
  }

  #drop(exec: ContainerProcess): void {
    exec.close();
    this.#byId.delete(exec.identity.execId);
  }

  /** Of a process that nobody keeps, and so nobody else tells of. */
  #tellOf({ identity }: ContainerProcess, kind: string, more: Pick<ContainerEvent, 'exit' | 'fields'>): void {
    this.#host.tell({ kind, containerId: this.#parts.containerId, processId: identity.execId, ...more });
  }

  #logExit(process: ContainerProcess, exit: Exit): void {
    const { execId, pid } = process.identity;
    this.#log.debug('process exited', { container: this.#parts.containerId, exec: execId, pid, status: exitStatus(exit) });
  }
}
