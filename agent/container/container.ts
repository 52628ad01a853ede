// One container: its state, its init process, and the verbs on them; what was added to it is in container-execs.ts. Made by create-container.ts.
// It does not order concurrent calls: its owner does (sandbox/gate.ts).
import { AgentError } from '../errors.ts';
import { faultPoint } from '../fault-point.ts';
import type { Logger } from '../log.ts';
import type { ContainerProcess } from '../process/container-process.ts';
import { handlesSignal } from '../process/signal-handling.ts';
import { SIGKILL, SIGTERM } from '../process/signals.ts';
import { type Bundle, removeTree, writeBundleFile } from './bundle.ts';
import type { Cgroup, ContainerStats } from './cgroup.ts';
import { ContainerExecs, type ExecOptions } from './container-execs.ts';
import type { ContainerHost } from './container-host.ts';
import type { ContainerRecord } from './container-record.ts';
import { withinMs } from './deadline.ts';
import { translatePciEnv } from './device/pci-env.ts';
import { ExecCgroups } from './exec-cgroups.ts';
import type { OomWatch } from './oom.ts';
import type { ProcessCgroup } from './process-cgroup.ts';
import { removeScratchFile } from './scratch-file.ts';
import { DEFAULT_CGROUP_PARENT } from './spec/context.ts';
import { stringifySpec } from './spec/json.ts';
import { prepareExec, prepareUpdate } from './spec/prepare.ts';
import type { ResourcesSpec } from './spec/resources.ts';
import type { ProcessSpec, RuntimeSpec } from './spec/types.ts';
import { type ContainerState, checkAllowed } from './state.ts';
import type { HeldStorages } from './storage/storage-entry.ts';

/** A SIGKILLed process is gone in no time unless it hangs in the kernel. */
const KILL_TIMEOUT_MS = 10_000;

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
  readonly #execs: ContainerExecs;
  readonly #cgroups: ExecCgroups;
  readonly #removed = Promise.withResolvers<void>();
  #paused = false;
  #updates = 0;

  constructor(host: ContainerHost, parts: ContainerParts, log: Logger) {
    this.id = parts.record.facts.id;
    this.spec = parts.spec;
    this.init = parts.init;
    this.#host = host;
    this.#parts = parts;
    this.#log = log;
    if (!this.init.endedBefore)
      void this.init.exited.then((exit) => host.tell({ kind: 'container.stopped', containerId: this.id, exit }));
    this.#cgroups = new ExecCgroups(parts.cgroup, parts.adopted);
    this.#execs = new ContainerExecs(host, { containerId: this.id, bundle: parts.bundle, cgroups: this.#cgroups }, log);
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
    return this.#execs.byId;
  }

  /** The init process for `''` and for the container's own id, else the exec of that id. @throws not_found */
  process(execId: string): ContainerProcess {
    if (execId === '' || execId === this.id) return this.init;
    const found = this.#execs.byId.get(execId);
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
    return process === this.init ? this.#cgroups.init : this.#execs.cgroupOf(process);
  }

  /** Starts one more process, running when this resolves. @throws already_exists, invalid_argument, failed_precondition */
  async exec(execId: string, process: ProcessSpec, options: ExecOptions = {}): Promise<ContainerProcess> {
    checkAllowed('exec', this.state, this.id);
    return await this.#execs.start(execId, () => this.#prepareExec(process), options);
  }

  /** Gives up an ended exec: its streams and its record. @throws failed_precondition while it runs; not_found */
  forget(execId: string): void {
    const process = this.process(execId);
    if (process === this.init) throw new AgentError('failed_precondition', `the init process goes with container ${this.id}`);
    this.#execs.forget(process);
  }

  /** An exec that an earlier agent started. @param cgroup its own, unless it has gone with it */
  adopt(process: ContainerProcess, options: { keep: boolean; cgroup: ProcessCgroup | undefined }): void {
    this.#execs.adopt(process, options);
  }

  /** As the cgroup says, whoever froze it. */
  async adoptPause(): Promise<void> {
    this.#paused = await this.#parts.cgroup.frozen();
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
    const file = await writeBundleFile(this.#parts.bundle, `resources-${this.#updates++}.json`, stringifySpec(wanted));
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
    this.init.close();
    this.#execs.close();
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

  #prepareExec(process: ProcessSpec): ProcessSpec {
    const env = translatePciEnv(process.env, this.#parts.guestAddresses);
    return prepareExec({ ...process, env, capabilities: process.capabilities ?? this.#capabilities() }, this.#onDropped);
  }

  #capabilities(): ProcessSpec['capabilities'] {
    const capabilities = this.spec.process?.capabilities;
    if (capabilities === undefined)
      throw new AgentError('internal', 'missing process capabilities', { fields: { container: this.id } });
    return capabilities;
  }
}
