// The processes that were started through the table (process-table.ts): whose they are, what becomes of them when they end, and their
// forgetting.
// INVARIANT: each stays until it is forgotten, by its client, by itself when it is done, by its container's removal, or, oldest first,
// when too many ended ones lie around; what was counted for it is given back then, once.
import type { Container } from '../container/container.ts';
import type { Logger } from '../log.ts';
import type { ContainerProcess } from '../process/container-process.ts';
import type { Clock } from './clock.ts';
import type { NewEvent } from './event-log.ts';
import type { OwnerFacts } from './owner-facts.ts';
import { type EndReason, type ProcessClient, ProcessEntry, type ProcessRef } from './process-entry.ts';
import { type LifetimeWatch, watchLifetime } from './process-lifetime.ts';
import type { Sandbox } from './sandbox.ts';
import type { StartedProcess } from './start-process.ts';

/** Ended processes that nobody has forgotten, of one container or of the guest; the oldest go first. */
const MAX_ENDED = 64;

export interface StartedHost {
  readonly sandbox: Pick<Sandbox, 'container'>;
  readonly events: { append(event: NewEvent): unknown };
  readonly clients: { onGone(client: ProcessClient, callback: () => void): () => void };
  readonly clock: Clock;
  readonly log: Logger;
}

export interface Registration {
  readonly ref: ProcessRef;
  readonly owner: OwnerFacts;
  readonly client: ProcessClient;
  /** Gives back what was taken for it: its place with its client, its key. */
  readonly release: () => void;
}

interface Record {
  readonly entry: ProcessEntry;
  readonly container: Container | undefined;
  readonly lifetime: LifetimeWatch;
  readonly release: () => void;
  endedAt: number | undefined;
}

export class StartedProcesses {
  readonly #host: StartedHost;
  readonly #records = new Map<ContainerProcess, Record>();
  readonly #guest = new Map<string, ProcessEntry>();

  constructor(host: StartedHost) {
    this.#host = host;
  }

  /** Those of the guest itself, by id. */
  get guest(): ReadonlyMap<string, ProcessEntry> {
    return this.#guest;
  }

  entryOf(process: ContainerProcess): ProcessEntry | undefined {
    return this.#records.get(process)?.entry;
  }

  add({ process, cgroup, container }: StartedProcess, { ref, owner, client, release }: Registration): ProcessEntry {
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
    // It is noted with the end, and the end told with that. The exit alone may be there already: of a program that ends at once.
    const told = owner.oomKilled !== undefined;
    const watch = watchLifetime(entry, owner, client, { ...this.#host, onEnd: (reason) => void this.#endedBy(entry, reason) });
    const record: Record = { entry, container, lifetime: watch, release, endedAt: undefined };
    this.#records.set(process, record);
    if (container === undefined) this.#guest.set(ref.processId, entry);
    else void container.removed.then(() => this.#drop(record));
    void entry.ended.then((report) => {
      record.endedAt = report.exit.exitedAt;
      if (!told) this.#host.events.append({ kind: 'process.exited', ...ref, exit: report.exit, fields: endFields(report) });
      if (forgetWhenDone) void this.#forgetWhenDone(entry);
    });
    return entry;
  }

  /** Gives up what is kept of an ended one, also of one that others have started. */
  forget(entry: ProcessEntry, reason: 'asked' | 'done' | 'evicted', client?: ProcessClient): void {
    const { containerId, processId } = entry.ref;
    const record = this.#records.get(entry.process);
    if (containerId === '') entry.process.close();
    else this.#host.sandbox.container(containerId).forget(processId);
    if (record !== undefined) this.#drop(record);
    this.tell('process.forgotten', entry, { client, fields: { reason } });
    // Something may have outlived it until now.
    void entry.cgroup?.release();
  }

  /** Makes room among the ended ones of a container, or of the guest. */
  evict(containerId: string): void {
    const ended = [...this.#records.values()].filter(
      (record) => record.endedAt !== undefined && record.entry.ref.containerId === containerId,
    );
    ended.sort((a, b) => a.endedAt! - b.endedAt!);
    for (const { entry } of ended.slice(0, Math.max(0, ended.length - MAX_ENDED + 1))) this.forget(entry, 'evicted');
  }

  /** Puts what has happened to a process among the events. */
  tell(kind: string, entry: ProcessEntry, more: Pick<NewEvent, 'client' | 'fields'>): void {
    const { client, fields } = more;
    this.#host.events.append({ kind, ...entry.ref, fields, ...(client && { client: { id: client.id, name: client.name } }) });
  }

  async #endedBy(entry: ProcessEntry, reason: EndReason): Promise<void> {
    const kind = reason === 'timeout' ? 'process.timed-out' : 'process.leased-out';
    this.tell(kind, entry, { fields: { reason } });
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
    if (this.#records.has(entry.process)) this.forget(entry, 'done');
  }

  #drop(record: Record): void {
    const { entry, lifetime, release } = record;
    if (!this.#records.delete(entry.process)) return;
    if (record.container === undefined) this.#guest.delete(entry.ref.processId);
    lifetime.close();
    release();
  }
}

function endFields({ oomKilled, endedBy }: { oomKilled: boolean; endedBy: EndReason | undefined }): { [name: string]: string } {
  return { ...(oomKilled && { oom_killed: 'true' }), ...(endedBy !== undefined && { ended_by: endedBy }) };
}
