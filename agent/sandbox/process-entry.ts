// One process as its clients know it: whose it is, how long it may live, how it is ended and how it ended.
// INVARIANTS: `ended` resolves once, soon after the kernel's word, whatever output or cgroup do; whatever ends the process by itself
// (timeout, lease, connection) ends all that it has started.
import { withinMs } from '../container/deadline.ts';
import { NO_FIGURES, type ProcessCgroup, type ProcessFigures } from '../container/process-cgroup.ts';
import { AgentError } from '../errors.ts';
import type { ContainerProcess, Exit } from '../process/container-process.ts';
import { SIGKILL, SIGTERM } from '../process/signals.ts';
import type { Lease } from './leases.ts';
import type { EndReason, Lifetime, OwnerFacts } from './owner-facts.ts';

export type { EndReason, Lifetime } from './owner-facts.ts';

/** A SIGKILLed process is gone in no time unless it hangs in the kernel. */
const KILLED_WITHIN_MS = 2_000;

export interface ProcessRef {
  /** '' for a process of the guest itself. */
  readonly containerId: string;
  /** '' for the init of the container. */
  readonly processId: string;
}

export interface Ended {
  readonly exit: Exit;
  readonly oomKilled: boolean;
  readonly endedBy: EndReason | undefined;
}

/** Who starts and attaches; see clients.ts. */
export interface ProcessClient {
  readonly id: string;
  readonly name: string;
  /** '' for one without a session. */
  readonly session: string;
  take(limit: 'processes' | 'streams'): () => void;
}

export type SignalScope = 'leader' | 'tree';

export interface EntryParts {
  readonly ref: ProcessRef;
  readonly process: ContainerProcess;
  readonly cgroup: ProcessCgroup | undefined;
  readonly labels: Readonly<Record<string, string>>;
  /** Name of the client that started it. */
  readonly owner: string;
  readonly lifetime: Lifetime;
  readonly graceMs: number;
  /** Its cgroup is its own, to be read once more and removed at its end. */
  readonly ownsCgroup: boolean;
  signalLeader(signal: number): Promise<void> | void;
  /** What is written down of it on behalf of its client; undefined for one that others made. */
  readonly facts?: OwnerFacts | undefined;
}

export class ProcessEntry {
  readonly ref: ProcessRef;
  readonly process: ContainerProcess;
  readonly cgroup: ProcessCgroup | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly owner: string;
  readonly lifetime: Lifetime;
  /** Never rejects. */
  readonly ended: Promise<Ended>;
  lease: Lease | undefined;
  readonly #parts: EntryParts;
  #facts: OwnerFacts | undefined;
  #report: Ended | undefined;
  #endedBy: EndReason | undefined;

  constructor(parts: EntryParts) {
    this.ref = parts.ref;
    this.process = parts.process;
    this.cgroup = parts.cgroup;
    this.labels = parts.labels;
    this.owner = parts.owner;
    this.lifetime = parts.lifetime;
    this.#parts = parts;
    this.#facts = parts.facts;
    this.#endedBy = parts.facts?.endedBy;
    this.ended = this.#end();
  }

  /** How it ended, or undefined while it runs. */
  get report(): Ended | undefined {
    return this.#report;
  }

  /** Writes down what has become of it, for an agent that comes after this one. */
  note(news: Partial<OwnerFacts>): void {
    if (this.#facts === undefined) return;
    this.#facts = { ...this.#facts, ...news };
    this.process.record.update({ owner: this.#facts });
  }

  /** Of the request that it was started with. */
  get digest(): string | undefined {
    return this.#facts?.digest;
  }

  /** Somebody is there: its lease does not run out until they have called what this returns. */
  attach(): () => void {
    return this.lease?.attach() ?? (() => {});
  }

  /** @throws failed_precondition without a terminal */
  resize(rows: number, columns: number): void {
    if (this.process.stdio.terminalFd === undefined) {
      throw new AgentError('failed_precondition', 'the process has no terminal', { fields: { field: 'resize' } });
    }
    this.process.resize(rows, columns);
  }

  /** Of its cgroup; the last ones of a process that has ended. */
  async figures(): Promise<ProcessFigures> {
    return (await this.cgroup?.figures()) ?? NO_FIGURES;
  }

  /**
   * A signal, and with `graceMs` SIGKILL for what is left of the scope after that. One that has ended already is fine.
   * @returns pids that survived even that, with `graceMs` only @throws invalid_argument for a signal that does not exist
   */
  async signal(signal: number, scope: SignalScope, graceMs?: number): Promise<number[]> {
    return scope === 'tree' && this.cgroup !== undefined
      ? await this.#signalTree(this.cgroup, signal, graceMs)
      : await this.#signalLeader(signal, graceMs);
  }

  /** Ends it and all that it has started. */
  async terminate(reason: EndReason): Promise<number[]> {
    if (this.#report === undefined && this.#endedBy === undefined) {
      this.#endedBy = reason;
      this.note({ endedBy: reason });
    }
    return await this.signal(SIGTERM, 'tree', this.#parts.graceMs);
  }

  async #signalLeader(signal: number, graceMs: number | undefined): Promise<number[]> {
    await this.#parts.signalLeader(signal);
    if (graceMs === undefined || (await this.#exitedWithin(graceMs))) return [];
    await this.#parts.signalLeader(SIGKILL);
    return (await this.#exitedWithin(KILLED_WITHIN_MS)) ? [] : [this.process.identity.pid];
  }

  async #signalTree(cgroup: ProcessCgroup, signal: number, graceMs: number | undefined): Promise<number[]> {
    if (signal === SIGKILL) await cgroup.killAll();
    else {
      // The leader by its own way first: an init that has no handler for SIGTERM needs more than the signal.
      await this.#parts.signalLeader(signal);
      await cgroup.signalAll(signal, this.process.identity.pid);
    }
    if (graceMs === undefined || (await cgroup.emptiedWithin(graceMs))) return [];
    await cgroup.killAll();
    return (await cgroup.emptiedWithin(KILLED_WITHIN_MS)) ? [] : await cgroup.members();
  }

  async #exitedWithin(ms: number): Promise<boolean> {
    try {
      await withinMs(ms, 'wait for a process to end', this.process.exited);
      return true;
    } catch {
      return false;
    }
  }

  async #end(): Promise<Ended> {
    const exit = await this.process.exited;
    const known = this.#facts?.oomKilled;
    const oomKilled = known ?? (await this.cgroup?.oomKilledAtExit()) ?? false;
    if (known === undefined) this.note({ oomKilled });
    this.#report = { exit, oomKilled, endedBy: this.#endedBy };
    if (this.#parts.ownsCgroup) void this.cgroup?.release();
    return this.#report;
  }
}
