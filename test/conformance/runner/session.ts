// One agent under test over one protocol for the length of a table: the shell in its guest, the container that many cases share, and
// what was there after the last case.
import type { Data, Protocol } from '../case.ts';
import { TEMPLATES } from '../templates.ts';
import { expand, type Plain } from './expand.ts';
import { GuestShell } from './guest-shell.ts';
import { Target } from './target.ts';
import { fdsOf, look, type Trace } from './trace.ts';

export interface SessionOptions {
  readonly address: string;
  readonly protocol: Protocol;
  /** What the agent's guest offers: `root.source`, `root.fstype`, `root.driver`. Cases name them `%{root.source}`. */
  readonly values?: { readonly [name: string]: Plain };
}

/** A disk with busybox, as the test guests have it. */
const DEFAULT_VALUES = { root: { driver: 'blk', source: '/dev/vdb', fstype: 'erofs' } };

let sessions = 0;

export class Session implements AsyncDisposable {
  readonly address: string;
  readonly protocol: Protocol;
  readonly values: ReadonlyMap<string, Plain>;
  readonly sharedId: string;
  readonly #tag: string;
  #control: Target | undefined;
  #shell: GuestShell | undefined;
  #shared = false;
  #fdsAtFirst: number | undefined;
  #cases = 0;
  #trace: Trace | undefined;

  constructor({ address, protocol, values }: SessionOptions) {
    this.address = address;
    this.protocol = protocol;
    this.#tag = `${process.pid.toString(36)}${(sessions++).toString(36)}`;
    this.sharedId = `shared-${this.#tag}`;
    this.values = new Map(Object.entries({ ...DEFAULT_VALUES, ...values, shared: this.sharedId, protocol }));
  }

  /** Names that no other case has: an id, and a small number. */
  nextNames(): [string, Plain][] {
    const n = ++this.#cases;
    const at = this.protocol === 'grpc' ? 100 + (n % 100) : n % 100;
    return [
      ['id', `c${n}-${this.#tag}`],
      ['n', at],
      ['nn', at.toString(16).padStart(2, '0')],
    ];
  }

  async dial(): Promise<Target> {
    return await Target.dial(this.address, this.protocol);
  }

  /** The guest's shell goes over ttrpc, whatever is under test: it is an eye, not a case. */
  async shell(): Promise<GuestShell> {
    this.#control ??= await Target.dial(this.address, 'ttrpc');
    this.#shell ??= await GuestShell.start(this.#control, `probe-${this.#tag}`);
    return this.#shell;
  }

  /** Makes the container that cases name `%{shared}`: busybox that sleeps. */
  async share(): Promise<void> {
    if (this.#shared) return;
    await this.#warmUp();
    const shell = await this.shell();
    const request: Data = { $like: 'sleeper', container_id: '%{id}' };
    const names = new Map([...this.values, ['id', this.sharedId] as const]);
    await this.#succeed('CreateContainer', expand(request, names, TEMPLATES));
    await this.#succeed('StartContainer', { container_id: this.sharedId });
    this.#shared = true;
    this.#trace = await look(shell);
  }

  async trace(): Promise<Trace> {
    if (this.#trace === undefined) await this.#warmUp();
    this.#trace ??= await look(await this.shell());
    return this.#trace;
  }

  /** What an agent loads and opens at its first container, exec and end of one is not a case's to answer for. */
  async #warmUp(): Promise<void> {
    if (this.#fdsAtFirst !== undefined) return;
    await this.shell();
    const address = { container_id: `warm-${this.#tag}`, exec_id: 'e1' };
    const names = new Map([...this.values, ['id', address.container_id] as const]);
    await this.#succeed('CreateContainer', expand({ $like: 'sleeper' }, names, TEMPLATES));
    await this.#succeed('StartContainer', { container_id: address.container_id });
    await this.#succeed('ExecProcess', { ...address, process: { User: {}, Args: ['true'], Env: ['PATH=/bin'], Cwd: '/' } });
    await this.#succeed('WaitProcess', address);
    await this.#succeed('RemoveContainer', { container_id: address.container_id });
    this.#fdsAtFirst = fdsOf(await look(await this.shell()));
  }

  keep(trace: Trace | undefined): void {
    this.#trace = trace;
  }

  /** Takes away what the runner itself has in the guest. */
  async withdraw(): Promise<void> {
    if (this.#shared) await this.#succeed('RemoveContainer', { container_id: this.sharedId });
    this.#shared = false;
    await this.#shell?.remove();
    this.#shell = undefined;
    this.#trace = undefined;
  }

  /** How many more fds the agent has open than before the first case: what each leaves for a while must not add up. */
  async fdGrowth(): Promise<number> {
    if (this.#fdsAtFirst === undefined) return 0;
    await this.withdraw();
    return fdsOf(await look(await this.shell())) - this.#fdsAtFirst;
  }

  /** Forgets the guest without a word: it is gone. */
  async abandon(): Promise<void> {
    this.#shared = false;
    this.#shell = undefined;
    this.#trace = undefined;
    await this.#control?.close();
    this.#control = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.withdraw();
    await this.abandon();
  }

  async #succeed(rpc: string, request: Plain): Promise<void> {
    this.#control ??= await Target.dial(this.address, 'ttrpc');
    const outcome = await this.#control.call(rpc, request);
    if (!('reply' in outcome)) throw new Error(`${rpc} for the runner's own container: ${outcome.code} ${outcome.text}`);
  }
}
