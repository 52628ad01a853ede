// berth.v1 as the agent serves it, over containers whose processes are children of the test, behind a Unix socket.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { berthMethods } from '../../agent/api/berth/berth-methods.ts';
import type { AgentUse } from '../../agent/api/berth/top.ts';
import type { UpgradeHost } from '../../agent/api/berth/upgrade.ts';
import { AgentError } from '../../agent/errors.ts';
import { silentLogger } from '../../agent/log.ts';
import { Scheduler } from '../../agent/process/stream/scheduler.ts';
import { type RpcServer, serve } from '../../agent/rpc/server.ts';
import { methodTable } from '../../agent/rpc/service.ts';
import { Clients } from '../../agent/sandbox/clients.ts';
import { openCore } from '../../agent/sandbox/core.ts';
import { EventLog } from '../../agent/sandbox/event-log.ts';
import type { GuestProcessHost } from '../../agent/sandbox/guest-processes.ts';
import type { CreateOptions, Sandbox } from '../../agent/sandbox/sandbox.ts';
import type { Listener } from '../../agent/transport/connection.ts';
import { listenUnix } from '../../agent/transport/unix.ts';
import { native } from '../../native/index.ts';
import { FakeContainer, FORGETFUL } from './fake-container.ts';

/** What the API knows of a sandbox. */
export class FakeSandbox {
  readonly events = new EventLog();
  readonly #containers = new Map<string, FakeContainer>();
  /** How long it takes to make a container. */
  createDelayMs = 0;

  /** `create id` and `remove id`, in order. */
  readonly calls: string[] = [];

  get ids(): string[] {
    return [...this.#containers.keys()];
  }

  find(id: string): FakeContainer | undefined {
    return this.#containers.get(id);
  }

  get containers(): FakeContainer[] {
    return [...this.#containers.values()];
  }

  container(id: string): FakeContainer {
    const container = this.#containers.get(id);
    if (container === undefined)
      throw new AgentError('not_found', `container \`${id}\` not found`, { fields: { missing: 'container' } });
    return container;
  }

  async createContainer(options: CreateOptions): Promise<FakeContainer> {
    this.calls.push(`create ${options.id}`);
    await new Promise((resolve) => setTimeout(resolve, this.createDelayMs));
    if (this.#containers.has(options.id)) throw new AgentError('already_exists', `container \`${options.id}\` already exists`);
    const container = await FakeContainer.create(options);
    this.#containers.set(options.id, container);
    this.events.append({ kind: 'container.created', containerId: options.id });
    return container;
  }

  async removeContainer(id: string): Promise<void> {
    this.calls.push(`remove ${id}`);
    await this.container(id).destroy();
    this.#containers.delete(id);
    this.events.append({ kind: 'container.deleted', containerId: id });
  }

  async share<T>(id: string, work: (container: FakeContainer) => Promise<T>): Promise<T> {
    return await work(this.container(id));
  }

  readonly alone = this.share;

  /** Ends every process and forgets everything. */
  reset(): void {
    for (const container of this.#containers.values()) container.release();
    this.#containers.clear();
    this.calls.length = 0;
    this.createDelayMs = 0;
  }
}

export interface ServedSandbox {
  readonly sandbox: FakeSandbox;
  readonly address: string;
  /** Breaks what is connected; new connections are taken. */
  dropConnections(): void;
  /** As a VM that dies, until {@link comeBack}. */
  goAway(): Promise<void>;
  comeBack(): Promise<void>;
  close(): Promise<void>;
}

export async function serveSandbox(): Promise<ServedSandbox> {
  const folder = await mkdtemp(join(tmpdir(), 'berth-fake-'));
  const path = join(folder, 'agent.sock');
  const sandbox = new FakeSandbox();
  const clients = new Clients(sandbox.events);
  const host = { sandbox: sandbox as unknown as Sandbox, clients };
  // Nothing is started in the guest itself.
  const core = openCore({ ...host, guestProcesses: {} as GuestProcessHost, state: FORGETFUL, log: silentLogger });
  const self = {
    generation: 1,
    runtimeVersion: async () => 'none',
    ready: async () => {},
    degraded: () => '',
    bundle: async () => '',
  };
  const upgrade = {} as UpgradeHost;
  const methods = berthMethods({
    ...host,
    self,
    turns: new Scheduler(),
    use: {} as AgentUse,
    door: native(),
    state: FORGETFUL,
    core,
    upgrade,
  });
  const start = (): RpcServer =>
    serve(methodTable(methods), { log: silentLogger, onDisconnect: ({ id }) => clients.disconnected(id) });
  let server = start();
  const listen = () => listenUnix({ kind: 'unix', path }, (connection) => server.accept(connection));
  let listener: Listener | undefined = await listen();
  const dropConnections = () => {
    void server.close(0);
    server = start();
  };
  const goAway = async () => {
    const closing = listener?.close();
    listener = undefined;
    // Closing waits for those that are connected.
    dropConnections();
    await closing;
  };
  return {
    sandbox,
    address: `unix://${path}`,
    dropConnections,
    goAway,
    comeBack: async () => {
      listener ??= await listen();
    },
    async close() {
      sandbox.reset();
      await goAway();
      await server.close(0);
      await rm(folder, { recursive: true, force: true });
    },
  };
}
