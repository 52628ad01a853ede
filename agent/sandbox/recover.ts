// Takes over what an earlier agent left: what was acknowledged goes on, what was half made is undone. The order matters: first what
// runs on by itself ends, then things come back from the inside out (storages, sandbox, containers, processes), then what belongs to
// nobody goes. It may be cut short at any point and done again.
import { readFile } from 'node:fs/promises';
import { native } from '../../native/index.ts';
import type { AdoptedContainer } from '../container/adopt-container.ts';
import { undoContainer } from '../container/adopt-container.ts';
import type { ContainerHost } from '../container/container-host.ts';
import { CONTAINER_KIND, type ContainerFacts } from '../container/container-record.ts';
import { adoptCgroup } from '../container/exec-cgroups.ts';
import { STORAGE_KIND, type StorageFacts } from '../container/storage/storage-table.ts';
import { TEMPORARY_KIND } from '../guest/files/temporary-name.ts';
import type { LoadedJournal } from '../keeper/journal-load.ts';
import { readStartTime } from '../keeper/proc-start-time.ts';
import type { Logger } from '../log.ts';
import { pidfdOf, type StartedFacts } from '../process/adopt-process.ts';
import { awaitLeftovers } from '../process/leftovers.ts';
import { PROCESS_KIND, type ProcessFacts, processRecordId } from '../process/process-record.ts';
import { forgetStdio, processKeyOf } from '../process/stdio-store.ts';
import { CLIENT_KIND, type ClientFacts, type Clients } from './clients.ts';
import type { Core } from './core.ts';
import type { OwnerFacts } from './owner-facts.ts';
import type { ProcessClient } from './process-entry.ts';
import type { Sandbox } from './sandbox.ts';
import { type ContainerOrigin, OOM_KIND, SANDBOX_KIND, type SandboxFacts } from './sandbox-facts.ts';
import { SANDBOX_LEASE_KIND, type SandboxLeaseFacts } from './sandbox-lease.ts';

export interface RecoveryHost {
  readonly host: Omit<ContainerHost, 'tell'>;
  readonly sandbox: Sandbox;
  readonly clients: Clients;
  /** Loaded only when something of Berth's own API is found. */
  readonly openCore: () => Promise<Core>;
  readonly generation: number;
  readonly log: Logger;
}

/** man 7 signal */
const SIGKILL = 9;

/** Never rejects: what can't be taken over is told in the log and makes it `degraded`. @returns why it may not be all; '' when it is */
export async function recover(parts: RecoveryHost, loaded: LoadedJournal): Promise<string> {
  return await new Recovery(parts, loaded).run();
}

class Recovery {
  readonly #parts: RecoveryHost;
  readonly #host: ContainerHost;
  readonly #loaded: LoadedJournal;
  readonly #problems: string[] = [];
  #processes: readonly ProcessFacts[];
  #containers: readonly ContainerFacts[];
  #settings: SandboxFacts | undefined;

  constructor(parts: RecoveryHost, loaded: LoadedJournal) {
    this.#parts = parts;
    this.#host = { ...parts.host, tell: (event) => void parts.sandbox.events.append(event) };
    this.#loaded = loaded;
    this.#processes = this.#of<ProcessFacts>(PROCESS_KIND);
    this.#containers = this.#of<ContainerFacts>(CONTAINER_KIND);
    [this.#settings] = this.#of<SandboxFacts>(SANDBOX_KIND);
    if (loaded.degraded !== undefined) this.#problems.push(loaded.degraded);
  }

  async run(): Promise<string> {
    const began = performance.now();
    const { sandbox, generation, log } = this.#parts;
    await this.#try('go on with the journal', () => this.#host.state.ready());
    await this.#try('wait for what an earlier agent began', () => awaitLeftovers(this.#knownPids(), log));
    await this.#try('look for what had been started', async () => {
      const kept = new Set((await this.#host.keeper.fds.list()).map(({ key }) => processKeyOf(key).toString('hex')));
      this.#processes = await Promise.all(this.#processes.map((facts) => this.#asStarted(facts, kept)));
    });
    if (this.#loaded.degraded !== undefined) await this.#try('look for what the journal has lost', () => this.#rebuild());
    for (const facts of this.#of<StorageFacts>(STORAGE_KIND))
      await this.#try(`take over the storage on ${facts.storage.mountPoint}`, () => this.#host.storages.adopt(facts));
    const settings = this.#settings;
    if (settings !== undefined) await this.#try('take over the sandbox', () => sandbox.adopt(settings));
    for (const untold of this.#of<string[]>(OOM_KIND)) sandbox.oom.adopt(untold);
    const unstarted = this.#processes.filter(({ pid }) => pid === undefined);
    await Promise.all([
      ...unstarted.map((facts) => this.#undoProcess(facts)),
      ...this.#containers.map((facts) => this.#container(facts)),
    ]);
    await this.#owned();
    this.#host.keeper.settle();
    await this.#tidy();
    const degraded = this.#problems.join('; ');
    const found = { containers: sandbox.containers.length, processes: this.#processes.length };
    const ms = Math.round(performance.now() - began);
    log[degraded === '' ? 'info' : 'warn']('recovered from an earlier agent', { generation, ...found, ms, degraded });
    const fields = { generation: `${generation}`, containers: `${found.containers}`, ...(degraded !== '' && { degraded }) };
    sandbox.events.append({ kind: 'agent.recovered', fields });
    // What the end of the sandbox was going to do, it does now.
    if (settings?.phase === 'destroying')
      void sandbox.destroy().catch((error: unknown) => log.error('sandbox not destroyed', { error }));
    return degraded;
  }

  #of<Facts>(kind: string): Facts[] {
    return this.#loaded.records.filter((record) => record.kind === kind).map(({ value }) => value as Facts);
  }

  async #rebuild(): Promise<void> {
    const { rebuild } = await import('./rebuild.ts');
    const [containers, processes, storages] = [this.#containers, this.#processes, this.#of<StorageFacts>(STORAGE_KIND)];
    const rebuilt = await rebuild(this.#host, { containers, processes, storages, sandbox: this.#settings });
    this.#containers = rebuilt.containers;
    this.#processes = rebuilt.processes;
    this.#settings = rebuilt.sandbox;
    for (const id of rebuilt.found) this.#parts.log.warn('container known by crun alone', { container: id });
    if (rebuilt.found.length > 0) this.#problems.push(`${rebuilt.found.length} containers are known by crun alone`);
  }

  #knownPids(): Set<number> {
    return new Set(this.#processes.flatMap(({ pid }) => pid ?? []));
  }

  /**
   * A start that crun or the launcher had carried out, though nobody had written that down: its client asks again, by its key or by the id of
   * its exec, and must not get a second process. One whose streams are not kept (a terminal that nobody took) has ended, and the first of a
   * container goes with what was made of that.
   */
  async #asStarted(facts: ProcessFacts, kept: ReadonlySet<string>): Promise<ProcessFacts> {
    const { containerId, execId, since, streams } = facts;
    if (facts.pid !== undefined || execId === containerId || !kept.has(streams)) return facts;
    const pid = await readPidFile(facts);
    if (pid === undefined) return facts;
    const startTime = await readStartTime(pid);
    const started = { ...facts, pid, startTime: startTime !== undefined && startTime >= since ? startTime : undefined };
    this.#host.state.put(PROCESS_KIND, processRecordId(facts), started);
    return started;
  }

  async #container(facts: ContainerFacts): Promise<void> {
    const { id } = facts;
    const processes = this.#processes.filter(({ containerId, pid }) => containerId === id && pid !== undefined) as StartedFacts[];
    if (facts.phase === 'made') {
      if (await this.#try(`take over container ${id}`, () => this.#parts.sandbox.adoptContainer({ facts, processes }))) return;
    }
    await this.#try(`take down container ${id}`, () => this.#undoContainer({ facts, processes }));
  }

  async #undoContainer({ facts, processes }: AdoptedContainer): Promise<void> {
    await undoContainer(this.#host, facts);
    for (const process of processes) await this.#forgetProcess(process);
    this.#host.state.remove(CONTAINER_KIND, facts.id);
    this.#host.log.info('container of an earlier agent taken down', { container: facts.id, phase: facts.phase });
    if (facts.phase !== 'making') this.#host.tell({ kind: 'container.deleted', containerId: facts.id });
  }

  /** It was about to be started, and nobody was told that it was. */
  async #undoProcess(facts: ProcessFacts): Promise<void> {
    const { containerId, execId } = facts;
    await this.#try(`undo the start of ${execId}`, async () => {
      await killByPidFile(facts);
      if (containerId === '') await (await this.#parts.openCore()).guest.undo(facts);
      else if (facts.cgroup !== undefined) {
        const cgroup = adoptCgroup(facts.cgroup, { keepFigures: false });
        await cgroup.killAll();
        // It goes when what was killed has gone.
        void cgroup.release();
      }
      await this.#forgetProcess(facts);
    });
  }

  async #forgetProcess(facts: ProcessFacts): Promise<void> {
    if (facts.streams !== '') await forgetStdio({ store: this.#host.keeper.fds, key: Buffer.from(facts.streams, 'hex') });
    this.#host.state.remove(PROCESS_KIND, processRecordId(facts));
  }

  /** What belongs to clients of Berth's own API. */
  async #owned(): Promise<void> {
    const { sandbox, clients, openCore } = this.#parts;
    for (const { kind, id, value } of this.#loaded.records) if (kind === CLIENT_KIND) clients.adopt(id, value as ClientFacts);
    const [lease] = this.#of<SandboxLeaseFacts>(SANDBOX_LEASE_KIND);
    if (lease !== undefined) (await openCore()).lease.adopt(lease);
    for (const container of sandbox.containers) {
      const { lifetime, clientSession = '' } = container.record.facts.more as ContainerOrigin;
      if (lifetime !== undefined && lifetime.kind !== 'keep')
        (await openCore()).lifetimes.watch(container, lifetime, this.#client('', clientSession));
    }
    const owned = this.#processes.filter(({ pid, owner }) => pid !== undefined && owner !== undefined) as StartedFacts[];
    await Promise.all(owned.map((facts) => this.#try(`take over process ${facts.execId}`, () => this.#adoptOwned(facts))));
  }

  async #adoptOwned(facts: StartedFacts): Promise<void> {
    const { sandbox, openCore } = this.#parts;
    const { processes } = await openCore();
    const { name, session } = facts.owner as OwnerFacts;
    const client = this.#client(name, session);
    if (facts.containerId === '') return await processes.adopt(facts, undefined, client);
    const container = sandbox.containers.find(({ id }) => id === facts.containerId);
    const process = container?.execs.get(facts.execId);
    // It went with its container.
    if (container === undefined || process === undefined) return;
    await processes.adopt(facts, { process, cgroup: container.cgroupOf(process), container }, client);
  }

  /** One whose session is over, or that never had one, is gone for good. */
  #client(name: string, session: string): ProcessClient {
    return this.#parts.clients.ofSession(session) ?? { id: '', name, session: '', take: () => () => {} };
  }

  /** What belongs to nobody goes. */
  async #tidy(): Promise<void> {
    const { crun, storages, keeper, state, log } = this.#host;
    const { sandbox } = this.#parts;
    const known = new Set(sandbox.containers.map(({ id }) => id));
    await this.#try('look for containers that nobody knows', async () => {
      for (const id of await crun.list()) if (!known.has(id)) await crun.delete(id);
    });
    await this.#try('give back storages', () => storages.releaseUnheld());
    await this.#try('give back streams', async () => {
      const streams = new Set(this.#processes.map((facts) => facts.streams));
      for (const { key } of await keeper.fds.list()) {
        const process = processKeyOf(key);
        if (!streams.has(process.toString('hex'))) await forgetStdio({ store: keeper.fds, key: process });
      }
    });
    await this.#try('clear scratch files', () => crun.clearScratch());
    // Nobody waits for them, and a share of the host's may hang.
    const temporaries = this.#loaded.records.filter(({ kind }) => kind === TEMPORARY_KIND);
    if (temporaries.length === 0) return;
    const { removeTemporaries } = await import('./remove-temporaries.ts');
    void removeTemporaries({ sandbox, door: native(), state, log }, temporaries);
  }

  async #try(doing: string, work: () => Promise<unknown>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      this.#parts.log.error(`could not ${doing}`, { error });
      this.#problems.push(`could not ${doing}`);
      return false;
    }
  }
}

/** crun may have started it, and have said so. */
async function killByPidFile(facts: ProcessFacts): Promise<void> {
  const pid = await readPidFile(facts);
  const startTime = pid === undefined ? undefined : await readStartTime(pid);
  if (pid === undefined || startTime === undefined || startTime < facts.since) return;
  const pidfd = await pidfdOf(pid, startTime);
  if (pidfd === undefined) return;
  native().pidfdSendSignal(pidfd, SIGKILL);
  native().close(pidfd);
}

async function readPidFile({ pidFile }: ProcessFacts): Promise<number | undefined> {
  if (pidFile === undefined) return undefined;
  const pid = Number(await readFile(pidFile, 'utf8').catch(() => ''));
  return Number.isInteger(pid) && pid > 1 ? pid : undefined;
}
