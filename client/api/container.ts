// A container in a guest: its init process, further programs in it, its limits and figures, its end.
import { randomUUID } from 'node:crypto';
import type { berth } from '#proto/berth.js';
import { hasCode } from '../../agent/errors.ts';
import type { SpecOptions } from '../default-spec.ts';
import { prepareRoot, type Rootfs } from '../rootfs.ts';
import type { AttachOptions } from './attachment.ts';
import { type ContainerState, stateName } from './container-info.ts';
import type { Link } from './link.ts';
import { CONTAINERS } from './methods.ts';
import { specJson } from './oci-spec.ts';
import type { Process } from './process.ts';
import { Processes } from './processes.ts';
import { type Lifetime, lifetimeMessage, neededFor, type OutputOptions, outputOptions } from './start.ts';

/** What a container is to be: its root, its first program, its limits. */
export interface CreateOptions extends Omit<SpecOptions, 'rootPath'> {
  /** Default: made up. */
  readonly id?: string;
  readonly rootfs: Rootfs;
  /** Whether the init process has a standard input. Default false. */
  readonly stdin?: boolean;
  readonly stdout?: OutputOptions;
  readonly stderr?: OutputOptions;
  readonly labels?: Readonly<Record<string, string>>;
  /** Two creates with one key are one create. */
  readonly key?: string;
  /** Default `keep`. */
  readonly lifetime?: Lifetime;
}

/** Limits to change; what is absent stays. -1 lifts a limit. */
export interface Limits {
  readonly memoryBytes?: bigint;
  /** In each 100 ms. */
  readonly cpuQuotaUs?: bigint;
  readonly cpuWeight?: number;
  readonly pids?: bigint;
  readonly cpus?: string;
}

/** A container in a guest. Programs are started in it by `run`, as its init process unless told otherwise. */
export class Container extends Processes implements AsyncDisposable {
  readonly id: string;
  #owned: boolean;

  /** @internal */
  constructor(link: Link, id: string, options: { owned: boolean }) {
    super(link, id);
    this.id = id;
    this.#owned = options.owned;
  }

  /** @internal Makes one whose init process waits for {@link start}. @throws AgentError; nothing is left in the guest then */
  static async create(link: Link, options: CreateOptions): Promise<Container> {
    const id = options.id ?? `c-${randomUUID().slice(0, 13)}`;
    const lifetime = options.lifetime ?? 'keep';
    for (const feature of neededFor({ ...options, lifetime })) link.need(feature);
    const { storages, rootPath } = prepareRoot(id, options.rootfs);
    await link.call(
      CONTAINERS.create,
      {
        id,
        specJson: specJson({ ...options, rootPath }),
        storages: storages.map(({ fstype, ...storage }) => ({ ...storage, filesystem: fstype ?? '' })),
        stdin: options.stdin ?? false,
        stdout: outputOptions(options.stdout),
        stderr: outputOptions(options.stderr),
        key: options.key ?? randomUUID(),
        labels: { ...options.labels },
        lifetime: lifetimeMessage(lifetime),
      },
      { repeatable: link.has('keys') },
    );
    return new Container(link, id, { owned: true });
  }

  /** Lets the init process run; one that runs already is fine. */
  async start(): Promise<void> {
    await this.link.call(CONTAINERS.start, { id: this.id }, { repeatable: true });
  }

  /** The init process, as its primary reader unless told otherwise. */
  init(options: AttachOptions = {}): Promise<Process> {
    return this.attach('', { primary: true, ...options });
  }

  /** What it is doing now. */
  async state(): Promise<ContainerState> {
    return stateName((await this.inspect()).state);
  }

  /** Everything the agent knows of it. */
  inspect(): Promise<berth.v1.Container> {
    return this.link.call(CONTAINERS.inspect, { id: this.id }, { repeatable: true });
  }

  /** Freezes everything in it, and writes that down: it stays so until {@link resume}. */
  async pause(): Promise<void> {
    await this.link.call(CONTAINERS.pause, { id: this.id });
  }

  /** Lets it go on after {@link pause}. */
  async resume(): Promise<void> {
    await this.link.call(CONTAINERS.resume, { id: this.id });
  }

  /** Changes its limits at once. */
  async update(limits: Limits): Promise<void> {
    await this.link.call(CONTAINERS.update, { id: this.id, ...limits }, { repeatable: true });
  }

  /** Its figures again and again, until the caller stops or it is removed. */
  async *stats({ everyMs = 1000 }: { everyMs?: number } = {}): AsyncGenerator<berth.v1.ContainerStats> {
    const stream = await this.link.stream(CONTAINERS.stats);
    await stream.send({ id: this.id, intervalMs: everyMs });
    stream.end();
    yield* stream;
  }

  /** Ends whatever runs in it and removes every trace. One that is gone is fine. */
  async remove(): Promise<void> {
    this.#owned = false;
    try {
      await this.link.call(CONTAINERS.delete, { id: this.id }, { repeatable: true });
    } catch (error) {
      if (!hasCode(error, 'not_found')) throw error;
    }
  }

  /** Disposing of this object no longer removes it. */
  detach(): void {
    this.#owned = false;
  }

  /** Removes a container that this program has created. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#owned) await this.remove();
  }
}
