// The one sandbox of this VM: which containers exist, what they share, and its end.
// INVARIANTS: an id is in the registry from before its container's first effect until after its last trace is gone;
// work on one container goes through its gate, and nothing here is held across two containers.
import { mkdir } from 'node:fs/promises';
import { type AdoptedContainer, adoptContainer } from '../container/adopt-container.ts';
import { removeTree } from '../container/bundle.ts';
import type { Container } from '../container/container.ts';
import type { ContainerHost } from '../container/container-host.ts';
import { type CreateContainerRequest, createContainer } from '../container/create-container.ts';
import { findGuestHooks } from '../container/guest-hooks.ts';
import { checkContainerId } from '../container/spec/ids.ts';
import type { HooksSpec } from '../container/spec/types.ts';
import type { Storage } from '../container/storage/storage.ts';
import type { HeldStorages } from '../container/storage/storage-entry.ts';
import { AgentError } from '../errors.ts';
import { setupDns } from '../guest/dns.ts';
import { type KernelModule, loadKernelModules } from '../guest/modules.ts';
import { pinSandboxNamespaces, type SandboxNamespaces, unpinSandboxNamespaces } from '../guest/namespaces.ts';
import { SIGTERM } from '../process/signals.ts';
import type { EventLog } from './event-log.ts';
import { Gate } from './gate.ts';
import { OomQueue } from './oom-queue.ts';
import type { Lifetime } from './process-entry.ts';
import { type ContainerOrigin, OOM_KIND, SANDBOX_KIND, type SandboxFacts } from './sandbox-facts.ts';
import { SharedPidns } from './shared-pidns.ts';

/** Containers of one VM; the aim is 200 (design.md), and each costs fds. */
const MAX_CONTAINERS = 512;

export interface SandboxOptions {
  id: string;
  hostname: string;
  dns: readonly string[];
  storages: readonly Storage[];
  kernelModules: readonly KernelModule[];
  /** Directory of the guest's own hooks; empty for none. */
  guestHookPath: string;
}

export interface CreateOptions extends CreateContainerRequest {
  /** Join the pid namespace of the sandbox's first container. */
  readonly sandboxPidns: boolean;
  /** Two creates with one key are one create, as long as its container exists; '' for none. */
  readonly key?: string;
  /** Written down with it, for sandbox/container-lifetime.ts. */
  readonly lifetime?: Lifetime;
  readonly clientSession?: string;
}

interface Entry {
  readonly gate: Gate;
  /** Undefined while it is being made. */
  container: Container | undefined;
}

export class Sandbox {
  readonly oom: OomQueue;
  readonly events: EventLog;
  /** Resolves when the sandbox has been destroyed: the agent is to end and the VM to power off. */
  readonly destroyed: Promise<void>;
  readonly #host: ContainerHost;
  readonly #entries = new Map<string, Entry>();
  /** Containers asked for with a key, made or being made. */
  readonly #keyed = new Map<string, Promise<Container>>();
  readonly #settings = new Gate();
  readonly #pidns = new SharedPidns();
  #namespaces: SandboxNamespaces | undefined;
  #storages: HeldStorages | undefined;
  #guestHooks: HooksSpec = {};
  #id = '';
  #destroying = false;
  #markDestroyed: () => void;

  constructor(host: Omit<ContainerHost, 'tell'>, events: EventLog) {
    this.events = events;
    this.oom = new OomQueue((untold) => host.state.put(OOM_KIND, '', untold));
    this.#host = { ...host, tell: (event) => void events.append(event) };
    const { promise, resolve } = Promise.withResolvers<void>();
    this.destroyed = promise;
    this.#markDestroyed = resolve;
  }

  get id(): string {
    return this.#id;
  }

  /** Everything that exists now, made or being made. */
  get containers(): Container[] {
    return [...this.#entries.values()].flatMap(({ container }) => container ?? []);
  }

  /** Sets the sandbox up afresh (kata-agent.md §3.2). @throws failed_precondition while it has containers */
  create(options: SandboxOptions): Promise<void> {
    return this.#settings.exclusive(async () => {
      this.#refuseWhenDestroying();
      if (this.#entries.size > 0)
        throw new AgentError('failed_precondition', 'the sandbox has containers', { fields: { sandbox: this.#id } });
      await this.#host.state.ready();
      this.#write({ phase: 'making' });
      await this.#clear();
      await mkdir(this.#host.bundleDir, { recursive: true, mode: 0o711 });
      await loadKernelModules(options.kernelModules);
      try {
        this.#namespaces = await pinSandboxNamespaces(options.hostname);
        this.#storages = await this.#host.storages.add(options.storages, {});
        this.#guestHooks = await this.#findHooks(options.guestHookPath);
        await setupDns(options.dns);
      } catch (error) {
        // What failed is what is told; what could not be undone is undone by the next create, or named by it.
        await this.#clear().catch((undoing: unknown) => {
          this.#host.log.error('sandbox half made', { sandbox: options.id, error: undoing });
        });
        throw error;
      }
      if (options.id !== '') this.#id = options.id;
      this.#write({ phase: 'made' });
      this.#host.log.info('sandbox created', { sandbox: this.#id, hostname: options.hostname });
      this.#host.tell({ kind: 'sandbox.created', fields: { sandbox: this.#id, hostname: options.hostname } });
    });
  }

  /** @throws invalid_argument, already_exists, resource_exhausted */
  createContainer(options: CreateOptions): Promise<Container> {
    const { key = '' } = options;
    if (key === '') return this.#make(options);
    const earlier = this.#keyed.get(key);
    if (earlier !== undefined) return earlier;
    const making = this.#make(options);
    this.#rememberKey(key, making);
    return making;
  }

  #rememberKey(key: string, making: Promise<Container>): void {
    this.#keyed.set(key, making);
    const forget = () => this.#keyed.delete(key);
    making.then((container) => void container.removed.then(forget), forget);
  }

  /** Goes on as an earlier agent's sandbox. */
  async adopt(facts: SandboxFacts): Promise<void> {
    this.#id = facts.id;
    this.#namespaces = facts.namespaces;
    this.#guestHooks = facts.guestHooks;
    this.#storages = this.#host.storages.hold(facts.storages);
    if (facts.phase === 'making') await this.#clear();
  }

  /** A container of an earlier agent's, which nobody works on yet. */
  async adoptContainer(adopted: AdoptedContainer): Promise<Container> {
    const { id, more } = adopted.facts;
    const container = await adoptContainer(this.#host, adopted, { onOom: this.#onOom });
    this.#entries.set(id, { gate: new Gate(), container });
    const { key } = more as ContainerOrigin;
    if (key !== '') this.#rememberKey(key, Promise.resolve(container));
    if (adopted.facts.sharesPidns) await this.#pidns.offer(container);
    return container;
  }

  #write({ phase }: Pick<SandboxFacts, 'phase'>): void {
    const facts: SandboxFacts = {
      phase,
      id: this.#id,
      namespaces: this.#namespaces,
      storages: this.#storages?.mountPoints ?? [],
      guestHooks: this.#guestHooks,
    };
    this.#host.state.put(SANDBOX_KIND, '', facts);
  }

  async #make(options: CreateOptions): Promise<Container> {
    const { id, key = '', lifetime, clientSession } = options;
    checkContainerId(id);
    this.#refuseWhenDestroying();
    if (this.#entries.has(id)) {
      throw new AgentError('already_exists', `container \`${id}\` already exists`, { fields: { container: id } });
    }
    if (this.#entries.size >= MAX_CONTAINERS) {
      throw new AgentError('resource_exhausted', `the sandbox has ${MAX_CONTAINERS} containers`, {
        fields: { limit: 'containers' },
      });
    }
    const entry: Entry = { gate: new Gate(), container: undefined };
    this.#entries.set(id, entry);
    try {
      return await entry.gate.exclusive(async () => {
        await this.#host.state.ready();
        const more: ContainerOrigin = { key, lifetime, clientSession };
        const container = await createContainer(this.#host, { ...options, more }, this.#view(options.sandboxPidns));
        entry.container = container;
        await this.#pidns.offer(container);
        return container;
      });
    } catch (error) {
      this.#entries.delete(id);
      throw error;
    }
  }

  /** The container of the id. @throws not_found */
  container(id: string): Container {
    return this.#entry(id).container;
  }

  /** Runs `work` on the container beside other such work (exec), never while it starts or goes. @throws not_found */
  share<T>(id: string, work: (container: Container) => Promise<T>): Promise<T> {
    return this.#entry(id).gate.shared(() => work(this.container(id)));
  }

  /** Runs `work` on the container alone. @throws not_found */
  alone<T>(id: string, work: (container: Container) => Promise<T>): Promise<T> {
    return this.#entry(id).gate.exclusive(() => work(this.container(id)));
  }

  /** Kills and removes the container and everything it holds. @throws not_found */
  async removeContainer(id: string): Promise<void> {
    // Killed before its turn comes: work that hangs on a frozen or stuck process must not keep it from dying.
    await this.container(id).killAll();
    await this.alone(id, async (container) => {
      await container.destroy();
      this.#entries.delete(id);
      await this.#pidns.leave(container);
    });
  }

  /** Ends the sandbox in good order: SIGTERM to every container's init, and after `graceMs` {@link destroy}. */
  async shutdown(graceMs: number): Promise<void> {
    const running = this.containers.filter(({ init }) => init.exit === undefined);
    this.#host.tell({ kind: 'sandbox.shutdown', fields: { grace_ms: `${graceMs}` } });
    for (const container of running) await container.signal('', SIGTERM);
    const grace = Promise.withResolvers<void>();
    const timer = setTimeout(grace.resolve, graceMs);
    await Promise.race([grace.promise, Promise.all(running.map(({ init }) => init.exited))]);
    clearTimeout(timer);
    await this.destroy();
  }

  /** Removes every container and ends the sandbox. The first failure is thrown after all were tried. */
  async destroy(): Promise<void> {
    if (this.#destroying) throw new AgentError('internal', 'failed to get sandbox sender channel');
    this.#destroying = true;
    this.#write({ phase: 'destroying' });
    this.oom.close();
    const results = await Promise.allSettled(this.containers.map(({ id }) => this.removeContainer(id)));
    await this.#host.storages.releaseAll();
    this.#markDestroyed();
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  /** A directory that can't be used costs the hooks, not the sandbox (kata-agent.md §3.1). */
  async #findHooks(directory: string): Promise<HooksSpec> {
    try {
      return await findGuestHooks(directory, this.#host.bundleDir, this.#host.log);
    } catch (error) {
      this.#host.log.error('guest hooks left out', { directory, error });
      return {};
    }
  }

  #entry(id: string): { gate: Gate; container: Container } {
    const entry = this.#entries.get(id);
    if (entry?.container !== undefined) return { gate: entry.gate, container: entry.container };
    throw new AgentError('not_found', `container \`${id}\` not found`, { fields: { missing: 'container', container: id } });
  }

  #view(sandboxPidns: boolean) {
    const pidPath = this.#pidns.path;
    // The one that asks is among the entries; the first of all gets a namespace of its own, and the others join that.
    if (sandboxPidns && pidPath === undefined && this.#entries.size > 1) {
      throw new AgentError('internal', 'Sandbox does not have sandbox_pidns');
    }
    return {
      sandbox: { ...this.#namespaces, pidPath },
      sandboxPidns,
      allowGuestHooks: this.#host.allowSpecHooks,
      guestHooks: this.#guestHooks,
      guestNetns: `/proc/${process.pid}/ns/net`,
      initOf: (name: string) => this.containers.find((container) => isCalled(container, name))?.init,
      onOom: this.#onOom,
    };
  }

  readonly #onOom = (id: string) => {
    this.#host.log.warn('out of memory', { container: id });
    this.oom.push(id);
    this.#host.tell({ kind: 'oom.killed', containerId: id });
  };

  /** Takes down what an earlier sandbox, or a half-made one, left mounted. */
  async #clear(): Promise<void> {
    if (this.#storages !== undefined) await this.#host.storages.release(this.#storages);
    this.#storages = undefined;
    this.#namespaces = undefined;
    await setupDns([]);
    await unpinSandboxNamespaces();
    await removeTree(this.#host.door, this.#host.bundleDir);
  }

  #refuseWhenDestroying(): void {
    if (this.#destroying) throw new AgentError('failed_precondition', 'the sandbox is being destroyed');
  }
}

/** Where CRI implementations write a container's name in its pod. */
const NAME_ANNOTATIONS = ['io.kubernetes.cri.container-name', 'io.kubernetes.container.name'];

function isCalled({ id, spec }: Container, name: string): boolean {
  return id === name || NAME_ANNOTATIONS.some((key) => spec.annotations?.[key] === name);
}
