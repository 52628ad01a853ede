// A container of the fake sandbox: its processes are children of the test, everything else is the agent's own.
import type { ContainerStats } from '../../agent/container/cgroup-stats.ts';
import type { ProcessSpec, RuntimeSpec } from '../../agent/container/spec/types.ts';
import { AgentError } from '../../agent/errors.ts';
import type { StateStore } from '../../agent/keeper/journal.ts';
import { ContainerProcess, exitStatus, openPidfd } from '../../agent/process/container-process.ts';
import { recordProcess } from '../../agent/process/process-record.ts';
import type { OutputOptions } from '../../agent/process/stdio.ts';
import type { CreateOptions } from '../../agent/sandbox/sandbox.ts';
import { FakeProcess, type FakeProcessOptions } from './fake-process.ts';

const SIGKILL = 9;
/** Nothing outlives a test. */
export const FORGETFUL: StateStore = { ready: async () => {}, put: () => {}, remove: () => {} };

export class FakeContainer {
  readonly id: string;
  readonly spec: RuntimeSpec;
  readonly options: CreateOptions;
  readonly createdAt = Date.now() - 5000;
  readonly execs = new Map<string, ContainerProcess>();
  readonly labels: Readonly<Record<string, string>>;
  readonly owner: string;
  readonly removed: Promise<void>;
  startedAt: number | undefined;
  init!: ContainerProcess;
  /** `exec signal` of each that was sent. */
  readonly signals: string[] = [];
  readonly #fakes = new Map<ContainerProcess, FakeProcess>();
  readonly #removal = Promise.withResolvers<void>();

  private constructor(options: CreateOptions) {
    this.id = options.id;
    this.spec = options.spec;
    this.options = options;
    this.labels = options.labels ?? {};
    this.owner = options.owner ?? '';
    this.removed = this.#removal.promise;
  }

  static async create(options: CreateOptions): Promise<FakeContainer> {
    const container = new FakeContainer(options);
    const { spec, stdin = true, output } = options;
    container.init = await container.#launch(options.id, spec.process, { stdin, ...(output && { output }), gated: true });
    return container;
  }

  get state() {
    if (this.init.exit !== undefined) return 'stopped';
    return this.startedAt === undefined ? 'created' : 'running';
  }

  /** As a shell says it; undefined while it runs. */
  get exitStatus(): number | undefined {
    return this.init.exit && exitStatus(this.init.exit);
  }

  process(execId: string): ContainerProcess {
    const found = execId === '' || execId === this.id ? this.init : this.execs.get(execId);
    if (found === undefined)
      throw new AgentError('not_found', `process not found: no exec \`${execId}\` in container \`${this.id}\``);
    return found;
  }

  async start(): Promise<void> {
    this.#fakes.get(this.init)!.release();
    this.startedAt = Date.now();
  }

  cgroupOf(): undefined {
    return undefined;
  }

  async exec(
    execId: string,
    process: ProcessSpec,
    options: { output?: OutputOptions; stdin?: boolean },
  ): Promise<ContainerProcess> {
    if (this.state !== 'running') throw new AgentError('failed_precondition', `container ${this.id} is ${this.state}`);
    const started = await this.#launch(execId, process, options);
    this.execs.set(execId, started);
    return started;
  }

  forget(execId: string): void {
    this.execs.get(execId)?.close();
    this.execs.delete(execId);
  }

  async signal(execId: string, signal: number): Promise<void> {
    this.signals.push(`${execId} ${signal}`.trim());
    this.process(execId).signal(signal);
  }

  async killAll(): Promise<void> {
    this.init.signal(SIGKILL);
  }

  async stats(): Promise<ContainerStats> {
    const memory = { current: 3n << 19n, peak: 2n << 20n, limit: 2n << 20n, failures: 0n, oomKills: 0n };
    const cpu = { totalNs: 0n, userNs: 0n, systemNs: 0n, periods: 0n, throttledPeriods: 0n, throttledNs: 0n };
    const stat = new Map([['inactive_file', 1n << 19n]]);
    return {
      cpu,
      memory: { ...memory, stat },
      swap: memory,
      pids: { current: 2n, limit: undefined },
      io: [],
      hugetlb: new Map(),
    };
  }

  async destroy(): Promise<void> {
    await this.killAll();
    await this.init.exited;
    this.release();
    this.#removal.resolve();
  }

  /** Ends everything at once. */
  release(): void {
    for (const fake of this.#fakes.values()) fake.destroy();
    for (const process of this.#fakes.keys()) process.close();
  }

  async #launch(
    execId: string,
    { args, env, terminal, consoleSize }: ProcessSpec,
    options: FakeProcessOptions & { stdin?: boolean },
  ) {
    const fake = await FakeProcess.start({ args, env, terminal: terminal ?? false }, options).catch((error: Error) => {
      throw new AgentError('internal', error.message);
    });
    if (consoleSize) fake.resize(consoleSize.height, consoleSize.width);
    if (options.stdin === false && !terminal) fake.stdio.stdin.close();
    const identity = { containerId: this.id, execId, pid: fake.pid, startTime: undefined };
    const record = recordProcess(FORGETFUL, { containerId: this.id, execId, args, since: 0n, streams: '' });
    const parts = { identity, args, record, stdio: fake.stdio, exit: fake.ended, pidfd: openPidfd(fake.pid) };
    const process = new ContainerProcess(parts);
    this.#fakes.set(process, fake);
    return process;
  }
}
