// One container: its state, its processes, and the verbs on them. Made by create-container.ts.
// It does not order concurrent calls: its owner does (sandbox/gate.ts).
import { AgentError } from '../errors.ts';
import { faultPoint } from '../fault-point.ts';
import type { Logger } from '../log.ts';
import { type ContainerProcess, type Exit, exitStatus } from '../process/container-process.ts';
import { handlesSignal } from '../process/signal-handling.ts';
import { type Bundle, removeTree, writeBundleFile } from './bundle.ts';
import type { Cgroup, ContainerStats } from './cgroup.ts';
import type { ContainerEvent, ContainerHost } from './container-host.ts';
import type { ContainerRecord } from './container-record.ts';
import { withinMs } from './deadline.ts';
import { translatePciEnv } from './device/pci-env.ts';
import { ExecCgroups } from './exec-cgroups.ts';
import { type LaunchRequest, launch } from './launch.ts';
import type { OomWatch } from './oom.ts';
import type { ProcessCgroup } from './process-cgroup.ts';
import { removeScratchFile } from './scratch-file.ts';
import { DEFAULT_CGROUP_PARENT } from './spec/context.ts';
import { stringifySpec } from './spec/json.ts';
import { prepareExec, prepareUpdate } from './spec/prepare.ts';
import type { ResourcesSpec } from './spec/resources.ts';
import type { ProcessSpec, RuntimeSpec } from './spec/types.ts';
import { type ContainerState, checkAllowed } from './state.ts';
import type { HeldStorages } from './storage/storage-table.ts';

/** Running and unread execs of one container together. */
const MAX_EXECS = 1024;
/** Ended execs whose streams are kept for a late reader; older ones give up theirs first. */
const MAX_ENDED_EXECS = 64;
/** A SIGKILLed process is gone in no time unless it hangs in the kernel. */
const KILL_TIMEOUT_MS = 10_000;
/** man 7 signal */
const SIGKILL = 9;
const SIGTERM = 15;

/** How the streams of an exec are kept, or where they go. */
export interface ExecOptions extends Pick<LaunchRequest, 'output' | 'passed' | 'stdin' | 'owner'> {
  /**
   * Keep it when it has ended until {@link Container.forget}, with a cgroup of its own that the caller releases once it has read the last
   * figures. The caller bounds how many there are.
   */
  readonly keep?: boolean;
}

export interface ContainerParts {
  record: ContainerRecord;
  spec: RuntimeSpec;
  bundle: Bundle;
  cgroup: Cgroup;
  init: ContainerProcess;
  storages: HeldStorages;
  /** PCI addresses of its devices by the host's (device/pci-env.ts). */
  guestAddresses: ReadonlyMap<string, string>;
  oom: OomWatch;
  /** Of one that an earlier agent made: whether its controllers are handed down. */
  adopted?: { delegated: boolean };
}

export class Container {
  readonly id: string;
  readonly spec: RuntimeSpec;
  readonly init: ContainerProcess;
  readonly #host: ContainerHost;
  readonly #parts: ContainerParts;
  readonly #log: Logger;
  readonly #execs = new Map<string, ContainerProcess>();
  readonly #cgroups: ExecCgroups;
  readonly #cgroupOf = new WeakMap<ContainerProcess, ProcessCgroup>();
  /** Execs that are forgotten when their client says so, and not before. */
  readonly #kept = new WeakSet<ContainerProcess>();
  /** Exec ids between their check and their process. */
  readonly #starting = new Set<string>();
  readonly #removed = Promise.withResolvers<void>();
  #paused = false;
  #execCount = 0;

  constructor(host: ContainerHost, parts: ContainerParts, log: Logger) {
    this.id = parts.record.facts.id;
    this.spec = parts.spec;
    this.init = parts.init;
    this.#host = host;
    this.#parts = parts;
    this.#log = log;
    // One that had stopped before has been told of before.
    if (parts.init.record.facts.exit === undefined)
      void this.init.exited.then((exit) => host.tell({ kind: 'container.stopped', containerId: this.id, exit }));
    this.#cgroups = new ExecCgroups(parts.cgroup, parts.adopted);
    this.#cgroupOf.set(parts.init, this.#cgroups.init);
  }

  get state(): ContainerState {
    if (this.init.exit !== undefined) return 'stopped';
    if (this.#paused) return 'paused';
    return this.startedAt === undefined ? 'created' : 'running';
  }

  get labels(): Readonly<Record<string, string>> {
    return this.#parts.record.facts.labels;
  }

  /** Name of the client that made it; empty for one of Kata's. */
  get owner(): string {
    return this.#parts.record.facts.owner;
  }

  /** Resolves when every trace of it is gone. */
  get removed(): Promise<void> {
    return this.#removed.promise;
  }

  /** Unix time in ms. */
  get createdAt(): number {
    return this.#parts.record.facts.createdAt;
  }

  get startedAt(): number | undefined {
    return this.#parts.record.facts.startedAt;
  }

  /** What is written down of it. */
  get record(): ContainerRecord {
    return this.#parts.record;
  }

  /** The execs that can still be asked for, by id. */
  get execs(): ReadonlyMap<string, ContainerProcess> {
    return this.#execs;
  }

  /** The init process for `''` and for the container's own id, else the exec of that id. @throws not_found */
  process(execId: string): ContainerProcess {
    if (execId === '' || execId === this.id) return this.init;
    const found = this.#execs.get(execId);
    if (found !== undefined) return found;
    throw new AgentError('not_found', `process not found: no exec \`${execId}\` in container \`${this.id}\``, {
      fields: { missing: 'process', container: this.id, exec: execId },
    });
  }

  async start(): Promise<void> {
    checkAllowed('start', this.state, this.id);
    const { record } = this.#parts;
    record.update({ starting: true });
    faultPoint('start:recorded');
    try {
      await this.#host.crun.start(this.id);
    } catch (error) {
      record.update({ starting: false });
      throw error;
    }
    faultPoint('start:started');
    record.update({ starting: false, startedAt: Date.now() });
    this.#log.info('container started', { container: this.id, pid: this.init.identity.pid });
    this.#tell('container.started', { pid: `${this.init.identity.pid}` });
  }

  /** The cgroup of one of this container's processes. */
  cgroupOf(process: ContainerProcess): ProcessCgroup | undefined {
    return this.#cgroupOf.get(process);
  }

  /** Starts one more process, running when this resolves. @throws already_exists, invalid_argument, failed_precondition */
  async exec(execId: string, process: ProcessSpec, options: ExecOptions = {}): Promise<ContainerProcess> {
    checkAllowed('exec', this.state, this.id);
    this.#forgetFinished();
    if (execId === this.id || this.#execs.has(execId) || this.#starting.has(execId)) {
      throw new AgentError('already_exists', `exec_id '${execId}' already exists`, {
        fields: { container: this.id, exec: execId },
      });
    }
    if (this.#execs.size + this.#starting.size >= MAX_EXECS) {
      throw new AgentError('resource_exhausted', `container ${this.id} has ${MAX_EXECS} execs`, {
        fields: { limit: 'execs-per-container' },
      });
    }
    this.#starting.add(execId);
    try {
      const env = translatePciEnv(process.env, this.#parts.guestAddresses);
      const complete = { ...process, env, capabilities: process.capabilities ?? this.#capabilities() };
      const started = await this.#launchExec(execId, prepareExec(complete, this.#onDropped), options);
      if (options.keep) this.#kept.add(started);
      this.#execs.set(execId, started);
      return started;
    } finally {
      this.#starting.delete(execId);
    }
  }

  /** Gives up an ended exec: its streams and its record. @throws failed_precondition while it runs; not_found */
  forget(execId: string): void {
    const process = this.process(execId);
    if (process === this.init) throw new AgentError('failed_precondition', `the init process goes with container ${this.id}`);
    if (process.exit === undefined) {
      throw new AgentError('failed_precondition', `process ${execId} of container ${this.id} still runs`, {
        fields: { container: this.id, exec: execId },
      });
    }
    this.#drop(process);
  }

  /** An exec that an earlier agent started. @param cgroup its own, unless it has gone with it */
  adopt(process: ContainerProcess, { keep, cgroup }: { keep: boolean; cgroup: ProcessCgroup | undefined }): void {
    if (keep) this.#kept.add(process);
    this.#execs.set(process.identity.execId, process);
    this.#watchExec(process, keep, cgroup);
  }

  /** As the cgroup says, whoever froze it. */
  async adoptPause(): Promise<void> {
    this.#paused = await this.#parts.cgroup.frozen();
  }

  async #launchExec(execId: string, process: ProcessSpec, options: ExecOptions): Promise<ContainerProcess> {
    const { keep = false, ...streams } = options;
    const cgroup = keep ? await this.#cgroups.make() : await this.#cgroups.ifNeeded();
    try {
      // The counter, not the exec id, names the file: ids are the client's text.
      const file = await writeBundleFile(this.#parts.bundle, `exec-${this.#execCount++}.json`, stringifySpec(process));
      const started = await launch(
        this.#host,
        { ...streams, containerId: this.id, execId, process, cgroup: cgroup?.path },
        (stdio) => this.#host.crun.exec(this.id, file, cgroup?.name, stdio, process.oomScoreAdj),
      ).finally(() => removeScratchFile(file));
      faultPoint('exec:launched');
      this.#log.debug('process started', { container: this.id, exec: execId, pid: started.identity.pid });
      if (!keep) this.#tellOf(started, 'process.started', { fields: { pid: `${started.identity.pid}` } });
      this.#watchExec(started, keep, cgroup);
      return started;
    } catch (error) {
      void cgroup?.release();
      throw error;
    }
  }

  #watchExec(process: ContainerProcess, keep: boolean, cgroup: ProcessCgroup | undefined): void {
    if (cgroup !== undefined) this.#cgroupOf.set(process, cgroup);
    // Its end has been told before.
    if (process.record.facts.exit !== undefined) return;
    void process.exited.then((exit) => {
      this.#logExit(process, exit);
      if (keep) return;
      this.#tellOf(process, 'process.exited', { exit });
      void cgroup?.release();
    });
  }

  /** To one process. SIGTERM to an init that has no handler becomes SIGKILL: the kernel would drop it (man 7 pid_namespaces). */
  async signal(execId: string, signal: number): Promise<void> {
    const target = this.process(execId);
    const dropped = target === this.init && signal === SIGTERM && !(await handlesSignal(target.identity.pid, SIGTERM));
    target.signal(dropped ? SIGKILL : signal);
  }

  /** Everything in the container's cgroup. An empty one is fine. */
  async killAll(): Promise<void> {
    this.init.signal(SIGKILL);
    await this.#parts.cgroup.killAll();
  }

  async pause(): Promise<void> {
    checkAllowed('pause', this.state, this.id);
    await this.#parts.cgroup.freeze();
    this.#paused = true;
    this.#tell('container.paused');
  }

  async resume(): Promise<void> {
    checkAllowed('resume', this.state, this.id);
    await this.#parts.cgroup.thaw();
    this.#paused = false;
    this.#tell('container.resumed');
  }

  stats(): Promise<ContainerStats> {
    return this.#parts.cgroup.stats();
  }

  /** Changes limits at once; what `resources` leaves out stays. */
  async update(resources: ResourcesSpec): Promise<void> {
    checkAllowed('update', this.state, this.id);
    const wanted = prepareUpdate(resources, this.spec, this.#onDropped);
    const file = await writeBundleFile(this.#parts.bundle, `resources-${this.#execCount++}.json`, stringifySpec(wanted));
    await this.#host.crun.update(this.id, file).finally(() => removeScratchFile(file));
    this.#tell('container.updated');
  }

  /** Kills what runs and removes every trace: crun's state, cgroup, mounts, storages, bundle, streams. May be repeated after a failure. */
  async destroy(): Promise<void> {
    // Whoever finds this takes down what is left.
    this.#parts.record.update({ phase: 'removing' });
    faultPoint('remove:recorded');
    await this.killAll();
    await withinMs(KILL_TIMEOUT_MS, `wait for container ${this.id} to die of SIGKILL`, this.init.exited);
    await this.#parts.oom.check();
    this.#parts.oom.close();
    faultPoint('remove:killed');
    await this.#host.crun.delete(this.id);
    faultPoint('remove:deleted');
    // crun removes the container's own; those that only led to it are left to us.
    await this.#parts.cgroup.remove(DEFAULT_CGROUP_PARENT);
    for (const process of [this.init, ...this.#execs.values()]) process.close();
    await this.#host.storages.release(this.#parts.storages);
    faultPoint('remove:released');
    await removeTree(this.#host.door, this.#parts.bundle.directory);
    this.#parts.record.drop();
    faultPoint('remove:done');
    this.#log.info('container removed', { container: this.id });
    this.#tell('container.deleted');
    this.#removed.resolve();
  }

  #tell(kind: string, fields?: Readonly<Record<string, string>>): void {
    this.#host.tell({ kind, containerId: this.id, ...(fields === undefined ? {} : { fields }) });
  }

  readonly #onDropped = (field: string, reason: string) =>
    this.#log.debug('setting dropped', { container: this.id, field, reason });

  #capabilities(): ProcessSpec['capabilities'] {
    const capabilities = this.spec.process?.capabilities;
    if (capabilities === undefined)
      throw new AgentError('internal', 'missing process capabilities', { fields: { container: this.id } });
    return capabilities;
  }

  /** Makes room: drops execs that nobody needs, and the oldest ended ones beyond the bound. */
  #forgetFinished(): void {
    const ended = [...this.#execs.values()].filter((exec) => exec.exit !== undefined && !this.#kept.has(exec));
    const surplus = ended.length - MAX_ENDED_EXECS;
    ended.forEach((exec, index) => {
      if (exec.finished || index < surplus) this.#drop(exec);
    });
  }

  #drop(exec: ContainerProcess): void {
    exec.close();
    this.#execs.delete(exec.identity.execId);
  }

  /** Of a process that nobody keeps, and so nobody else tells of. */
  #tellOf({ identity }: ContainerProcess, kind: string, more: Pick<ContainerEvent, 'exit' | 'fields'>): void {
    this.#host.tell({ kind, containerId: this.id, processId: identity.execId, ...more });
  }

  #logExit(process: ContainerProcess, exit: Exit): void {
    const { execId, pid } = process.identity;
    this.#log.debug('process exited', { container: this.id, exec: execId, pid, status: exitStatus(exit) });
  }
}
