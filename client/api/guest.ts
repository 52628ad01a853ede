// One guest as a program sees it: the way in, and what concerns it as a whole. Everything else hangs on it.
import type { berth } from '#proto/berth.js';
import { Container, type CreateOptions } from './container.ts';
import { type EventsOptions, followEvents, type GuestEvent } from './events.ts';
import { Link, type LinkOptions } from './link.ts';
import { AGENT, CONTAINERS } from './methods.ts';
import { Processes } from './processes.ts';
import type { Upgraded, UpgradeOptions } from './upgrade.ts';

/**
 * Connects to the agent of a guest: `vsock://CID:PORT`, `hvsock://SOCKET:PORT`, `unix://PATH`, `serial://SOCKET`. The connection heals by itself; all calls share it.
 * @throws AgentError unavailable when nobody answers within `patienceMs`
 */
export async function connect(address: string, options: LinkOptions = {}): Promise<Guest> {
  return new Guest(await Link.open(address, options));
}

/** One guest, and the way to everything in it. Programs are started in the guest itself by `run`, in its root and as root unless told otherwise. */
export class Guest extends Processes implements AsyncDisposable {
  /** @internal */
  constructor(link: Link) {
    super(link, '');
  }

  /** What the agent said when it was dialled: version, features, limits. */
  get hello(): berth.v1.HelloResponse {
    return this.link.hello;
  }

  /** The guest and its agent: clock, memory, CPUs, kernel, versions. */
  info(): Promise<berth.v1.InfoResponse> {
    return this.link.call(AGENT.info, {}, { repeatable: true });
  }

  /** Makes a container and removes it again when the object is disposed of. Start it by `start`. */
  create(options: CreateOptions): Promise<Container> {
    return Container.create(this.link, options);
  }

  /** A container that is there already, whoever made it. Nothing is asked of the guest by this. */
  container(id: string): Container {
    return new Container(this.link, id, { owned: false });
  }

  /** @param labels only containers that have all of these */
  async containers(labels: Readonly<Record<string, string>> = {}): Promise<berth.v1.Container.$Properties[]> {
    return (await this.link.call(CONTAINERS.list, { labels: { ...labels } }, { repeatable: true })).containers;
  }

  /** What happens in the guest, in order and each once, also over lost connections. */
  events(options: EventsOptions = {}): AsyncGenerator<GuestEvent> {
    return followEvents(this.link, options);
  }

  /**
   * What the agent is doing, again and again until the caller stops: connections, what is held for whom, what waits for what. It costs the agent
   * something only while it is read.
   * @param intervalMs from 100 to 60 000, 1000 unless told; 0 for one look only
   */
  async *top({
    intervalMs = 1000,
    signal,
  }: {
    intervalMs?: number;
    signal?: AbortSignal;
  } = {}): AsyncGenerator<berth.v1.TopResponse> {
    const stream = await this.link.stream(AGENT.top, signal === undefined ? {} : { signal });
    await stream.send({ intervalMs });
    stream.end();
    yield* stream;
  }

  /** Sets the guest's clock to this program's, or to `at`. @returns ms that it was ahead */
  async setClock(at: Date = new Date()): Promise<number> {
    const { offsetNs } = await this.link.call(AGENT.setClock, { unixNs: BigInt(at.getTime()) * 1_000_000n });
    return Number(offsetNs) / 1e6;
  }

  /** Renews the lease of the sandbox: once nobody has renewed it for `ttlMs`, containers are removed and the VM powers off. 0 gives it up. */
  async lease(ttlMs: number): Promise<Date | undefined> {
    const { expiresUnixMs } = await this.link.call(AGENT.sandboxLease, { ttlMs }, { repeatable: true });
    return expiresUnixMs === 0n ? undefined : new Date(Number(expiresUnixMs));
  }

  /**
   * Replaces the agent by the one in `directory` (build/agent of a checkout) while everything runs on, and waits until it is at work. Calls in
   * progress end as when an agent dies.
   * @throws AgentError failed_precondition for an agent that does not fit the guest, invalid_argument, data_loss: nothing has changed then;
   * aborted when it came to nothing and the agent of the guest's image has taken over
   */
  async upgrade(directory: string, options: UpgradeOptions = {}): Promise<Upgraded> {
    const { upgradeAgent } = await import('./upgrade.ts');
    return await upgradeAgent(this.link, directory, options);
  }

  /** Ends all containers, by SIGTERM and after `deadlineMs` by SIGKILL, and powers the VM off. */
  async shutdown({ deadlineMs }: { deadlineMs?: number } = {}): Promise<void> {
    await this.link.call(AGENT.shutdown, deadlineMs === undefined ? {} : { deadlineMs });
  }

  /** Ends the connection; what runs goes on as its lifetime says. Idempotent. */
  close(): Promise<void> {
    return this.link.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
