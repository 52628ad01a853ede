// A process in a guest: its streams, its end, and what can be done to it. It survives lost connections and the agent's restarts; its object
// here can be thrown away and made again from its reference.
import type { berth } from '#proto/berth.js';
import { AgentError, hasCode } from '../../agent/errors.ts';
import { SIGKILL, signalNumber } from '../signals.ts';
import { Attachment, type AttachOptions } from './attachment.ts';
import { type Ending, endingOf } from './ending.ts';
import type { ProcessInput } from './input.ts';
import type { Link } from './link.ts';
import { PROCESSES } from './methods.ts';
import type { ProcessOutput } from './output.ts';

/** Names a process for good. */
export interface ProcessRef {
  /** Empty for a process of the guest itself. */
  readonly containerId: string;
  /** Empty for the init process of the container. */
  readonly processId: string;
}

/** How far a signal goes. */
export interface KillOptions {
  /** `tree`, the default: everything it has started too, whatever that did to get away. */
  readonly scope?: 'leader' | 'tree';
  /** What still lives this long after the signal is killed; the call resolves when that is done. */
  readonly graceMs?: number;
}

export interface ProcessHandleOptions extends AttachOptions {
  readonly terminal: boolean;
  /** Whether disposing of this object ends the process. */
  readonly owned: boolean;
}

const SCOPES = { leader: 1, tree: 2 } as const;

/** A process in a guest: its streams, its ending, its end. */
export class Process implements AsyncDisposable {
  /** By which it can be attached to. */
  readonly ref: ProcessRef;
  /** In the guest's own PID namespace. */
  readonly pid: number;
  /** Whether it has a terminal. */
  readonly terminal: boolean;
  readonly #link: Link;
  readonly #attachment: Attachment;
  #owned: boolean;
  #ending: Promise<Ending> | undefined;

  /** @internal */
  constructor(link: Link, ref: ProcessRef, pid: number, options: ProcessHandleOptions) {
    this.#link = link;
    this.ref = ref;
    this.pid = pid;
    this.terminal = options.terminal;
    this.#owned = options.owned;
    this.#attachment = new Attachment(link, ref, options.terminal, options);
  }

  /** What it reads. */
  get stdin(): ProcessInput {
    return this.#attachment.stdin;
  }

  /** Of a process with a terminal, everything that the terminal says. */
  get stdout(): ProcessOutput {
    return this.#attachment.stdout;
  }

  /** Of a process with a terminal, at its end at once. */
  get stderr(): ProcessOutput {
    return this.#attachment.stderr;
  }

  /** How it ended. Does not wait for its output, nor does its output wait for this. @throws AgentError not_found once forgotten */
  wait(options: { signal?: AbortSignal } = {}): Promise<Ending> {
    if (options.signal !== undefined) return this.#askEnding(options.signal);
    this.#ending ??= this.#askEnding();
    return this.#ending;
  }

  async #askEnding(signal?: AbortSignal): Promise<Ending> {
    const { exit } = await this.#link.call(
      PROCESSES.wait,
      { ref: this.ref },
      { repeatable: true, ...(signal ? { signal } : {}) },
    );
    return endingOf(exit ?? {});
  }

  /** @param signal by name or number @returns pids that are left after `graceMs`, which only something that hangs in the kernel is */
  async kill(signal: string | number = SIGKILL, { scope = 'tree', graceMs }: KillOptions = {}): Promise<number[]> {
    const { survivors } = await this.#link.call(
      PROCESSES.signal,
      {
        ref: this.ref,
        signal: typeof signal === 'number' ? signal : signalNumber(signal),
        scope: SCOPES[scope],
        ...(graceMs === undefined ? {} : { graceMs }),
      },
      { repeatable: true },
    );
    return survivors;
  }

  /** Tells its terminal a new size. @throws AgentError failed_precondition without a terminal */
  async resize(rows: number, columns: number): Promise<void> {
    await this.#link.call(PROCESSES.resize, { ref: this.ref, size: { rows, columns } }, { repeatable: true });
  }

  /** Keeps a leased process alive for its lease from now on. A client that reads its streams does so anyway. */
  async renew(): Promise<void> {
    await this.#link.call(PROCESSES.renew, { ref: this.ref }, { repeatable: true });
  }

  /** Everything about it but its output. */
  inspect(): Promise<berth.v1.Process> {
    return this.#link.call(PROCESSES.inspect, { ref: this.ref }, { repeatable: true });
  }

  /** CPU, memory and number of processes of it and everything it has started. */
  stats(): Promise<berth.v1.ProcessStatsResponse> {
    return this.#link.call(PROCESSES.stats, { ref: this.ref }, { repeatable: true });
  }

  /** Gives up what the guest keeps of it: its ending, its output. @throws AgentError failed_precondition while it runs */
  async forget(): Promise<void> {
    this.#attachment.close();
    await this.#link.call(PROCESSES.forget, { ref: this.ref }, { repeatable: true }).catch(unlessGone);
  }

  /** Lets go of it: disposing of this object no longer ends it. */
  detach(): void {
    this.#owned = false;
    this.#attachment.close();
  }

  /** Of a process that this program has started: ends it with everything it has started, and forgets it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#attachment.close();
    if (!this.#owned) return;
    try {
      await this.kill(SIGKILL, { graceMs: 0 });
      await this.wait();
      await this.forget();
    } catch (error) {
      unlessGone(error);
    }
  }
}

/** Forgotten, or removed with its container: what was wanted. A client that is closed cannot do it any more. */
function unlessGone(error: unknown): void {
  if (!hasCode(error, 'not_found') && !hasCode(error, 'cancelled')) throw error;
}

/** @throws AgentError cancelled, with the reason of the signal */
export function refuseAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new AgentError('cancelled', 'cancelled', { cause: signal.reason });
}
