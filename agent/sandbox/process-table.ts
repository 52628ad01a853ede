// Every process that can be named: inits of containers, what was added to them by whichever API, and processes of the guest itself.
// INVARIANTS: two starts with one key are one start; what was started here stays named until it is forgotten, by its client, by itself
// when it is done, by its container's removal, or, oldest first, when too many ended ones lie around.

import type { Container } from '../container/container.ts';
import { checkExecId } from '../container/spec/ids.ts';
import { AgentError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { StartedFacts } from '../process/adopt-process.ts';
import type { ContainerProcess } from '../process/container-process.ts';
import type { Clock } from './clock.ts';
import type { NewEvent } from './event-log.ts';
import type { GuestProcesses } from './guest-processes.ts';
import type { OwnerFacts } from './owner-facts.ts';
import { type EndReason, type ProcessClient, ProcessEntry, type ProcessRef, type SignalScope } from './process-entry.ts';
import { type LifetimeWatch, watchLifetime } from './process-lifetime.ts';
import type { Sandbox } from './sandbox.ts';
import { digestOf, ownerFacts } from './start-facts.ts';
import { type StartedProcess, type StartRequest, startInContainer, startInGuest } from './start-process.ts';

/** Ended processes that nobody has forgotten, of one container or of the guest; the oldest go first. */
export const MAX_ENDED = 64;
/** Processes of the guest itself. */
const MAX_GUEST_PROCESSES = 1024;

export interface ProcessTableHost {
  readonly sandbox: Pick<Sandbox, 'container' | 'containers' | 'share'>;
  readonly guest: Pick<GuestProcesses, 'start' | 'adopt'>;
  readonly events: { append(event: NewEvent): unknown };
  readonly clients: { onGone(client: ProcessClient, callback: () => void): () => void };
  readonly clock: Clock;
  readonly log: Logger;
}

/** One that was started here. */
interface Record {
  readonly entry: ProcessEntry;
  readonly container: Container | undefined;
  readonly keyed: string | undefined;
  readonly lifetime: LifetimeWatch;
  /** Ends its counting to its client. */
  readonly release: () => void;
  endedAt: number | undefined;
}

interface Registration {
  readonly ref: ProcessRef;
  readonly owner: OwnerFacts;
  readonly client: ProcessClient;
  readonly release: () => void;
  readonly keyed: string | undefined;
}

interface Started {
  readonly entry: ProcessEntry;
  /** An earlier start with the key made it. */
  readonly existed: boolean;
}

export class ProcessTable {
  readonly #host: ProcessTableHost;
  /** What was started here, by its process. */
  readonly #records = new Map<ContainerProcess, Record>();
  readonly #guest = new Map<string, ProcessEntry>();
  /** Ids of the guest's processes that are being started. */
  readonly #starting = new Set<string>();
  readonly #keys = new Map<string, Promise<ProcessEntry>>();
  /** Processes that others have made, once they have been asked for. */
  readonly #others = new WeakMap<ContainerProcess, ProcessEntry>();
  #ids = 0;

  constructor(host: ProcessTableHost) {
    this.#host = host;
  }

  /** @throws not_found naming what is missing */
  get({ containerId, processId }: ProcessRef): ProcessEntry {
    if (containerId !== '') {
      const container = this.#host.sandbox.container(containerId);
      return this.#entryOf(container, container.process(processId));
    }
    const entry = this.#guest.get(processId);
    if (entry !== undefined) return entry;
    throw new AgentError('not_found', `process not found: no \`${processId}\` in the guest`, {
      fields: { missing: 'process', exec: processId },
    });
  }

  /** Of one container ('' for the guest itself), or all: inits first, then in the order they were started. */
  list(containerId?: string): ProcessEntry[] {
    const containers =
      containerId === undefined
        ? this.#host.sandbox.containers
        : containerId === ''
          ? []
          : [this.#host.sandbox.container(containerId)];
    const entries = containers.flatMap((container) =>
      [container.init, ...container.execs.values()].map((process) => this.#entryOf(container, process)),
    );
    return containerId === undefined || containerId === '' ? [...entries, ...this.#guest.values()] : entries;
  }

  /**
   * Starts a process, or finds the one that an earlier start with the key made.
   * @throws invalid_argument, not_found, already_exists, failed_precondition, resource_exhausted; the errors of start-failure.ts
   */
  async start(request: StartRequest, client: ProcessClient): Promise<Started> {
    if (request.key === '') return { entry: await this.#start(request, client, undefined), existed: false };
    // Keys of different containers have nothing to do with each other.
    const keyed = `${request.containerId}\0${request.key}`;
    const earlier = this.#keys.get(keyed);
    if (earlier !== undefined) return { entry: sameRequest(await earlier, request), existed: true };
    const starting = this.#start(request, client, keyed);
    this.#keys.set(keyed, starting);
    try {
      return { entry: await starting, existed: false };
    } catch (error) {
      // Nothing was started: the next one with this key may.
      if (this.#keys.get(keyed) === starting) this.#keys.delete(keyed);
      throw error;
    }
  }

  /** As {@link ProcessEntry.signal}. */
  async signal(
    ref: ProcessRef,
    signal: number,
    scope: SignalScope,
    graceMs: number | undefined,
    client: ProcessClient,
  ): Promise<number[]> {
    const entry = this.get(ref);
    this.#tell('process.signalled', entry, { client, fields: { signal: `${signal}`, scope } });
    return await entry.signal(signal, scope, graceMs);
  }

  /** Gives up what is kept of an ended process. @throws failed_precondition while it runs, and for an init; not_found */
  forget(ref: ProcessRef, client?: ProcessClient): void {
    const entry = this.get(ref);
    if (ref.containerId !== '' && entry.process === this.#host.sandbox.container(ref.containerId).init) {
      throw new AgentError('failed_precondition', 'the init process goes with its container', {
        fields: { container: ref.containerId },
      });
    }
    if (entry.report === undefined) {
      throw new AgentError('failed_precondition', `process ${ref.processId} still runs`, {
        fields: { container: ref.containerId, exec: ref.processId },
      });
    }
    this.#forget(entry, 'asked', client);
  }

  /** @throws not_found; failed_precondition for one without a lease */
  renew(ref: ProcessRef): void {
    const { lease } = this.get(ref);
    if (lease === undefined) throw new AgentError('failed_precondition', `process ${ref.processId} has no lease`);
    lease.renew();
  }

  async #start(request: StartRequest, client: ProcessClient, keyed: string | undefined): Promise<ProcessEntry> {
    const processId = request.processId === '' ? this.#freshId(request.containerId) : checkExecId(request.processId);
    const release = client.take('processes');
    try {
      this.#evict(request.containerId);
      const owner = ownerFacts(request, client, this.#host.clock);
      const named = { ...request, processId, owner };
      const started = request.containerId === '' ? await this.#startInGuest(named) : await this.#startIn(named);
      return this.#registerNew(started, named, client, release, keyed);
    } catch (error) {
      release();
      throw error;
    }
  }

  #startIn(request: StartRequest): Promise<StartedProcess> {
    return this.#host.sandbox.share(request.containerId, (container) => startInContainer(container, request));
  }

  async #startInGuest(request: StartRequest): Promise<StartedProcess> {
    const { processId } = request;
    if (this.#guest.has(processId) || this.#starting.has(processId)) {
      throw new AgentError('already_exists', `process '${processId}' already exists`, { fields: { exec: processId } });
    }
    if (this.#guest.size + this.#starting.size >= MAX_GUEST_PROCESSES) {
      throw new AgentError('resource_exhausted', `the guest has ${MAX_GUEST_PROCESSES} processes of its own`, {
        fields: { limit: 'guest-processes' },
      });
    }
    this.#starting.add(processId);
    try {
      return await startInGuest(this.#host.guest, request);
    } finally {
      this.#starting.delete(processId);
    }
  }

  /** Takes over a process that an earlier agent started here; those in containers are in them already. */
  async adopt(facts: StartedFacts, inContainer: StartedProcess | undefined, client: ProcessClient): Promise<void> {
    const owner = facts.owner as OwnerFacts;
    const started = inContainer ?? { ...(await this.#host.guest.adopt(facts)), container: undefined };
    const keyed = owner.key === '' ? undefined : `${facts.containerId}\0${owner.key}`;
    const ref = { containerId: facts.containerId, processId: facts.execId };
    const entry = this.#register(started, { ref, owner, client, release: client.take('processes'), keyed });
    if (keyed !== undefined) this.#keys.set(keyed, Promise.resolve(entry));
  }

  #registerNew(
    started: StartedProcess,
    { containerId, processId, owner }: StartRequest & { owner: OwnerFacts },
    client: ProcessClient,
    release: () => void,
    keyed: string | undefined,
  ): ProcessEntry {
    const entry = this.#register(started, { ref: { containerId, processId }, owner, client, release, keyed });
    this.#tell('process.started', entry, { client, fields: { pid: `${entry.process.identity.pid}` } });
    return entry;
  }

  #register({ process, cgroup, container }: StartedProcess, { ref, owner, client, release, keyed }: Registration): ProcessEntry {
    const { name, labels, lifetime, graceMs, forgetWhenDone } = owner;
    const entry = new ProcessEntry({
      ref,
      process,
      cgroup,
      labels,
      owner: name,
      lifetime,
      graceMs,
      ownsCgroup: true,
      signalLeader: (signal) => process.signal(signal),
      facts: owner,
    });
    const ended = process.record.facts.exit !== undefined;
    const watch = watchLifetime(entry, owner, client, { ...this.#host, onEnd: (reason) => void this.#endedBy(entry, reason) });
    const record: Record = { entry, container, keyed, lifetime: watch, release, endedAt: undefined };
    this.#records.set(process, record);
    if (container === undefined) this.#guest.set(ref.processId, entry);
    else void container.removed.then(() => this.#drop(record));
    void entry.ended.then((report) => {
      record.endedAt = report.exit.exitedAt;
      // What had ended before an earlier agent did was told by that.
      if (!ended) this.#host.events.append({ kind: 'process.exited', ...ref, exit: report.exit, fields: endFields(report) });
      if (forgetWhenDone) void this.#forgetWhenDone(entry);
    });
    return entry;
  }

  async #endedBy(entry: ProcessEntry, reason: EndReason): Promise<void> {
    const kind = reason === 'timeout' ? 'process.timed-out' : 'process.leased-out';
    this.#tell(kind, entry, { fields: { reason } });
    try {
      const survivors = await entry.terminate(reason);
      if (survivors.length === 0) return;
      this.#host.log.warn('processes survive SIGKILL', { ...entry.ref, pids: survivors.join(' ') });
    } catch (error) {
      this.#host.log.error('could not end a process', { ...entry.ref, reason, error });
    }
  }

  async #forgetWhenDone(entry: ProcessEntry): Promise<void> {
    const { stdout, stderr } = entry.process.stdio;
    await Promise.all([stdout.whenConsumed, stderr.whenConsumed]);
    if (this.#records.has(entry.process)) this.#forget(entry, 'done');
  }

  #forget(entry: ProcessEntry, reason: 'asked' | 'done' | 'evicted', client?: ProcessClient): void {
    const { containerId, processId } = entry.ref;
    const record = this.#records.get(entry.process);
    if (containerId === '') entry.process.close();
    else this.#host.sandbox.container(containerId).forget(processId);
    if (record !== undefined) this.#drop(record);
    this.#tell('process.forgotten', entry, { client, fields: { reason } });
    // Something may have outlived it until now.
    void entry.cgroup?.release();
  }

  #drop(record: Record): void {
    const { entry, keyed, lifetime, release } = record;
    if (!this.#records.delete(entry.process)) return;
    if (record.container === undefined) this.#guest.delete(entry.ref.processId);
    if (keyed !== undefined) this.#keys.delete(keyed);
    lifetime.close();
    release();
  }

  /** Makes room among the ended ones of a container, or of the guest. */
  #evict(containerId: string): void {
    const ended = [...this.#records.values()].filter(
      (record) => record.endedAt !== undefined && record.entry.ref.containerId === containerId,
    );
    ended.sort((a, b) => a.endedAt! - b.endedAt!);
    for (const { entry } of ended.slice(0, Math.max(0, ended.length - MAX_ENDED + 1))) this.#forget(entry, 'evicted');
  }

  #entryOf(container: Container, process: ContainerProcess): ProcessEntry {
    const known = this.#records.get(process)?.entry ?? this.#others.get(process);
    if (known !== undefined) return known;
    const isInit = process === container.init;
    const processId = isInit ? '' : process.identity.execId;
    const entry = new ProcessEntry({
      ref: { containerId: container.id, processId },
      process,
      cgroup: container.cgroupOf(process),
      labels: {},
      owner: '',
      lifetime: { kind: 'keep' },
      graceMs: 0,
      ownsCgroup: false,
      signalLeader: (signal) => container.signal(processId, signal),
    });
    this.#others.set(process, entry);
    return entry;
  }

  #freshId(containerId: string): string {
    const taken = (id: string) =>
      containerId === '' ? this.#guest.has(id) : this.#host.sandbox.container(containerId).execs.has(id);
    let id: string;
    do id = `p${++this.#ids}`;
    while (taken(id));
    return id;
  }

  #tell(kind: string, entry: ProcessEntry, more: Pick<NewEvent, 'client' | 'fields'>): void {
    const { client, fields } = more;
    this.#host.events.append({ kind, ...entry.ref, fields, ...(client && { client: { id: client.id, name: client.name } }) });
  }
}

function endFields({ oomKilled, endedBy }: { oomKilled: boolean; endedBy: EndReason | undefined }): { [name: string]: string } {
  return { ...(oomKilled && { oom_killed: 'true' }), ...(endedBy !== undefined && { ended_by: endedBy }) };
}

/** A key that names two things is a mistake of the client's that must not go unseen. */
function sameRequest(entry: ProcessEntry, request: StartRequest): ProcessEntry {
  if (entry.digest === digestOf(request)) return entry;
  throw new AgentError(
    'already_exists',
    `the key ${JSON.stringify(request.key)} has started another program, or the same otherwise`,
    {
      fields: { field: 'key' },
    },
  );
}
