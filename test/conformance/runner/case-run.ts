// The steps of a case as they run: its names, its connections, the calls that wait, the containers it made.
import { setTimeout as sleep } from 'node:timers/promises';
import type { CallStep, CollectStep, Data, GuestStep, Refusal, Step, UseStep } from '../case.ts';
import { FRAGMENTS, TEMPLATES } from '../templates.ts';
import { expand, type Plain } from './expand.ts';
import { mismatches, show } from './match.ts';
import type { Session } from './session.ts';
import { type Outcome, RPCS, Target } from './target.ts';

const MAIN = 'main';
const READ_BYTES = 32 * 1024;
const MAX_COLLECTED_BYTES = 8 * 1024 * 1024;
const PENDING_MS = 100;
const AGAIN_MS = 30;

interface Waiting {
  readonly outcome: Promise<Outcome>;
  settled: boolean;
}

export class CaseRun {
  readonly #session: Session;
  readonly #names: Map<string, Plain>;
  readonly #connections = new Map<string, Target>();
  readonly #waiting = new Map<string, Waiting>();
  readonly #containers: string[] = [];

  constructor(session: Session) {
    this.#session = session;
    this.#names = new Map([...session.values, ...session.nextNames()]);
  }

  expand(data: Data | undefined): Plain {
    return expand(data, this.#names, TEMPLATES);
  }

  async step(step: Step): Promise<void> {
    if ('call' in step) await this.#call(step);
    else if ('join' in step) this.#take(step, await this.#waitingFor(step.join).outcome, step.join);
    else if ('pending' in step) await this.#pending(step.pending, step.forMs ?? PENDING_MS);
    else if ('guest' in step) await this.#guest(step);
    else if ('collect' in step) await this.#collect(step);
    else if ('use' in step) await this.#use(step);
    else if ('hangUp' in step) await this.#close(step.hangUp);
    else await this.#gone(step.goneWithinMs);
  }

  /** The newest first: a pod's first container holds what the others share. */
  async removeContainers(): Promise<void> {
    if (this.#containers.length === 0) return;
    const target = await this.#session.dial();
    try {
      for (const container_id of this.#containers.splice(0).reverse()) {
        const outcome = await target.call('RemoveContainer', { container_id });
        if ('code' in outcome && !/invalid container id/i.test(outcome.text)) throw new Error(`${outcome.code} ${outcome.text}`);
      }
    } finally {
      await target.close();
    }
  }

  async hangUp(): Promise<void> {
    for (const name of [...this.#connections.keys()]) await this.#close(name);
    await Promise.allSettled([...this.#waiting.values()].map(({ outcome }) => outcome));
  }

  async #call(step: CallStep): Promise<void> {
    const rpc = RPCS.get(step.call);
    if (!rpc) throw new Error('there is no such RPC');
    const request = step.payload === undefined ? this.#bytes(rpc.request, step.request) : Buffer.from(step.payload, 'hex');
    const target = await this.#connection(step.over ?? MAIN);
    if (step.call === 'CreateContainer' && !Buffer.isBuffer(request)) {
      const id = (request as { container_id?: string }).container_id;
      // What can't be one must not be asked to be removed: that would be a bad input of its own.
      if (id !== undefined && !this.#containers.includes(id) && id !== this.#session.sharedId) this.#containers.push(id);
    }
    const outcome = target.call(step.call, request, step.deadlineMs);
    if (step.later === undefined) return this.#take(step, await outcome, step.call);
    const waiting: Waiting = { outcome, settled: false };
    const settle = () => {
      waiting.settled = true;
    };
    outcome.then(settle, settle);
    this.#waiting.set(step.later, waiting);
  }

  /** Text stands for bytes where the protocol wants bytes. */
  #bytes(_message: string, request: Data | undefined): Plain {
    return this.expand(request ?? {});
  }

  #take({ reply, fails, as }: { reply?: Data; fails?: Refusal; as?: string }, outcome: Outcome, what: string): void {
    if (fails !== undefined) {
      if ('reply' in outcome) throw new Error(`${what} succeeded, and had to fail with ${String(fails.code)}`);
      const codes: readonly string[] = typeof fails.code === 'string' ? [fails.code] : fails.code;
      const text = new RegExp(String(this.expand(fails.text ?? '')), 'is');
      if (codes.includes(outcome.code) && text.test(outcome.text)) return;
      throw new Error(`${what} failed with ${outcome.code} ${show(outcome.text)}; ${codes.join(' or ')} ${text} is wanted`);
    }
    if ('code' in outcome) throw new Error(`${what} failed with ${outcome.code} ${show(outcome.text)}`);
    const faults = reply === undefined ? [] : mismatches(outcome.reply, this.expand(reply));
    if (faults.length > 0) throw new Error(faults.join('; '));
    if (as !== undefined) this.#names.set(as, outcome.reply as Plain);
  }

  async #pending(name: string, forMs: number): Promise<void> {
    const waiting = this.#waitingFor(name);
    await sleep(forMs);
    if (waiting.settled) throw new Error(`has its answer already: ${show(await waiting.outcome)}`);
  }

  async #guest(step: GuestStep): Promise<void> {
    const shell = await this.#session.shell();
    const script = `export G=/proc/1/root; ${String(this.expand(step.guest))}`;
    const deadline = performance.now() + (step.withinMs ?? 0);
    for (;;) {
      const { text, status } = await shell.run(script);
      const printed = text.trimEnd();
      const faults = step.prints === undefined ? [] : mismatches(printed, this.expand(step.prints), 'printed');
      if (status !== 0) faults.push(`status ${status}: ${printed}`);
      if (faults.length === 0) {
        if (step.as !== undefined) this.#names.set(step.as, printed);
        return;
      }
      if (performance.now() >= deadline) throw new Error(faults.join('; '));
      await sleep(AGAIN_MS);
    }
  }

  async #collect(step: CollectStep): Promise<void> {
    const target = await this.#connection(MAIN);
    const name = step.collect === 'stdout' ? 'ReadStdout' : 'ReadStderr';
    const request = this.expand({ container_id: step.container, exec_id: step.exec ?? '', len: READ_BYTES });
    const chunks: Buffer[] = [];
    for (let bytes = 0; bytes < MAX_COLLECTED_BYTES; bytes += chunks.at(-1)!.length) {
      const outcome = await target.call(name, request);
      if ('code' in outcome) throw new Error(`${outcome.code} ${outcome.text}`);
      const data = outcome.reply['data'] as Buffer;
      if (data.length === 0) break;
      chunks.push(data);
    }
    const text = Buffer.concat(chunks).toString();
    const faults = step.text === undefined ? [] : mismatches(text, this.expand(step.text), step.collect);
    if (faults.length > 0) throw new Error(faults.join('; '));
    if (step.as !== undefined) this.#names.set(step.as, text.trimEnd());
  }

  async #use({ use, with: given = {} }: UseStep): Promise<void> {
    const fragment = FRAGMENTS[use];
    if (!fragment) throw new Error(`there is no fragment ${use}`);
    const before = new Map(this.#names);
    for (const [name, value] of Object.entries({ ...fragment.names, ...given })) {
      // A default may name what was given: it is expanded last.
      this.#names.set(name, expand(value, before, TEMPLATES));
    }
    for (const step of fragment.steps) await this.step(step);
    for (const name of Object.keys({ ...fragment.names, ...given })) {
      const old = before.get(name);
      if (old === undefined) this.#names.delete(name);
      else this.#names.set(name, old);
    }
  }

  async #gone(withinMs: number): Promise<void> {
    const target = await this.#connection(MAIN);
    const ended = await Promise.race([target.closed.then(() => true), sleep(withinMs, false, { ref: false })]);
    if (!ended) throw new Error(`the agent still holds the connection after ${withinMs} ms`);
    const again = await Target.dial(this.#session.address, this.#session.protocol).catch(() => undefined);
    await again?.close();
    if (again) throw new Error('the agent still takes connections');
  }

  #waitingFor(name: string): Waiting {
    const waiting = this.#waiting.get(name);
    if (!waiting) throw new Error(`no call waits by the name ${name}`);
    return waiting;
  }

  async #connection(name: string): Promise<Target> {
    const open = this.#connections.get(name) ?? (await this.#session.dial());
    this.#connections.set(name, open);
    return open;
  }

  async #close(name: string): Promise<void> {
    const target = this.#connections.get(name);
    this.#connections.delete(name);
    await target?.close();
  }
}
