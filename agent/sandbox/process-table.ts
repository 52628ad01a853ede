// Every process that can be named: inits of containers, what was added to them by whichever API, and processes of the guest itself.
// What it started itself is kept in started-processes.ts.
// INVARIANT: two starts with one key are one start, as long as what it started is not forgotten.
import type { Container } from '../container/container.ts';
import { checkExecId } from '../container/spec/ids.ts';
import { AgentError } from '../errors.ts';
import type { StartedFacts } from '../process/adopt-process.ts';
import type { ContainerProcess } from '../process/container-process.ts';
import type { GuestProcesses } from './guest-processes.ts';
import type { OwnerFacts } from './owner-facts.ts';
import { type ProcessClient, ProcessEntry, type ProcessRef, type SignalScope } from './process-entry.ts';
import type { Sandbox } from './sandbox.ts';
import { digestOf, ownerFacts } from './start-facts.ts';
import { type StartedProcess, type StartRequest, startInContainer, startInGuest } from './start-process.ts';
import { type StartedHost, StartedProcesses } from './started-processes.ts';

/** Processes of the guest itself. */
const MAX_GUEST_PROCESSES = 1024;

export interface ProcessTableHost extends StartedHost {
  readonly sandbox: Pick<Sandbox, 'container' | 'containers' | 'share'>;
  readonly guest: Pick<GuestProcesses, 'start' | 'adopt'>;
}

interface Started {
  readonly entry: ProcessEntry;
  /** An earlier start with the key made it. */
  readonly existed: boolean;
}

export class ProcessTable {
  readonly #host: ProcessTableHost;
  readonly #started: StartedProcesses;
  /** Ids of the guest's processes that are being started. */
  readonly #starting = new Set<string>();
  readonly #keys = new Map<string, Promise<ProcessEntry>>();
  /** Processes that others have made, once they have been asked for. */
  readonly #others = new WeakMap<ContainerProcess, ProcessEntry>();
  #ids = 0;

  constructor(host: ProcessTableHost) {
    this.#host = host;
    this.#started = new StartedProcesses(host);
  }

  /** @throws not_found naming what is missing */
  get({ containerId, processId }: ProcessRef): ProcessEntry {
    if (containerId !== '') {
      const container = this.#host.sandbox.container(containerId);
      return this.#entryOf(container, container.process(processId));
    }
    const entry = this.#started.guest.get(processId);
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
    return containerId === undefined || containerId === '' ? [...entries, ...this.#started.guest.values()] : entries;
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
    this.#started.tell('process.signalled', entry, { client, fields: { signal: `${signal}`, scope } });
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
    this.#started.forget(entry, 'asked', client);
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
      this.#started.evict(request.containerId);
      const owner = ownerFacts(request, client, this.#host.clock);
      const named = { ...request, processId, owner };
      const started = request.containerId === '' ? await this.#startInGuest(named) : await this.#startIn(named);
      const ref = { containerId: request.containerId, processId };
      const entry = this.#started.add(started, { ref, owner, client, release: this.#releasing(keyed, release) });
      this.#started.tell('process.started', entry, { client, fields: { pid: `${entry.process.identity.pid}` } });
      return entry;
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
    if (this.#started.guest.has(processId) || this.#starting.has(processId)) {
      throw new AgentError('already_exists', `process '${processId}' already exists`, { fields: { exec: processId } });
    }
    if (this.#started.guest.size + this.#starting.size >= MAX_GUEST_PROCESSES) {
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
    const entry = this.#started.add(started, { ref, owner, client, release: this.#releasing(keyed, client.take('processes')) });
    if (keyed !== undefined) this.#keys.set(keyed, Promise.resolve(entry));
  }

  /** The key goes with the process, too. */
  #releasing(keyed: string | undefined, release: () => void): () => void {
    return () => {
      if (keyed !== undefined) this.#keys.delete(keyed);
      release();
    };
  }

  #entryOf(container: Container, process: ContainerProcess): ProcessEntry {
    const known = this.#started.entryOf(process) ?? this.#others.get(process);
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
      containerId === '' ? this.#started.guest.has(id) : this.#host.sandbox.container(containerId).execs.has(id);
    let id: string;
    do id = `p${++this.#ids}`;
    while (taken(id));
    return id;
  }
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
