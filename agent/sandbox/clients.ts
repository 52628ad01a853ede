// Who talks to the agent: a client is one connection, or several one after the other that show the same session.
// What a client may hold is bounded here, by name; what it owns learns from here that it has gone.
import { AgentError } from '../errors.ts';
import type { StateStore } from '../keeper/journal.ts';
import { type Clock, SYSTEM_CLOCK } from './clock.ts';
import type { EventLog } from './event-log.ts';

/** Bounds of one client. */
export const CLIENT_LIMITS = {
  /** Attached streams, tunnels, watches and transfers at a time. */
  streams: 1024,
  /** Processes it has started that are not forgotten. */
  processes: 4096,
  /** Sustained; a second's worth may come at once. */
  callsPerSecond: 20_000,
} as const;

/** How long a client that has a session may be without a connection before it counts as gone: time to dial again. */
export const SESSION_GRACE_MS = 10_000;
/** Clients that are known, connected or in their grace. */
const MAX_CLIENTS = 1024;

export type CountedLimit = 'streams' | 'processes';

/** The connection that a call came on. */
export interface CallingConnection {
  readonly id: string;
  readonly protocol: string;
  readonly peer: string;
}

export interface ClientInfo {
  /** Its newest connection's. */
  readonly id: string;
  readonly name: string;
  readonly protocol: string;
  readonly peer: string;
  readonly streams: number;
  readonly processes: number;
}

export class Client {
  id: string;
  name = '';
  version = '';
  /** Empty until it says hello. */
  session = '';
  protocol: string;
  peer: string;
  readonly connections = new Set<string>();
  readonly goneListeners = new Set<() => void>();
  cancelGrace: (() => void) | undefined;
  #streams = 0;
  #processes = 0;
  #tokens = CLIENT_LIMITS.callsPerSecond as number;
  #refilledAt: number;
  readonly #clock: Clock;

  constructor(connection: CallingConnection, clock: Clock) {
    this.id = connection.id;
    this.protocol = connection.protocol;
    this.peer = connection.peer;
    this.#clock = clock;
    this.#refilledAt = clock.now();
    this.connections.add(connection.id);
  }

  get info(): ClientInfo {
    const { id, name, protocol, peer } = this;
    return { id, name, protocol, peer, streams: this.#streams, processes: this.#processes };
  }

  /** Counts one more of what is bounded; call what it returns when it is over. @throws resource_exhausted naming the limit */
  take(limit: CountedLimit): () => void {
    const used = limit === 'streams' ? this.#streams : this.#processes;
    if (used >= CLIENT_LIMITS[limit]) throw overLimit(limit, CLIENT_LIMITS[limit]);
    this.#count(limit, 1);
    let held = true;
    return () => {
      if (held) this.#count(limit, -1);
      held = false;
    };
  }

  /** Counts one call. @throws resource_exhausted over the rate */
  call(): void {
    const now = this.#clock.now();
    const refill = ((now - this.#refilledAt) / 1000) * CLIENT_LIMITS.callsPerSecond;
    this.#tokens = Math.min(CLIENT_LIMITS.callsPerSecond, this.#tokens + refill);
    this.#refilledAt = now;
    if (this.#tokens < 1) throw overLimit('calls-per-second', CLIENT_LIMITS.callsPerSecond);
    this.#tokens--;
  }

  #count(limit: CountedLimit, change: number): void {
    if (limit === 'streams') this.#streams += change;
    else this.#processes += change;
  }
}

export const CLIENT_KIND = 'client';

/** What is written down of a session, under its secret. */
export interface ClientFacts {
  readonly id: string;
  readonly name: string;
  readonly version: string;
  readonly protocol: string;
  readonly peer: string;
}

export class Clients {
  readonly #events: EventLog;
  readonly #clock: Clock;
  readonly #byConnection = new Map<string, Client>();
  readonly #bySession = new Map<string, Client>();
  readonly #state: StateStore | undefined;

  /** @param state where sessions are written down, for an agent that comes after this one */
  constructor(events: EventLog, clock: Clock = SYSTEM_CLOCK, state?: StateStore) {
    this.#events = events;
    this.#clock = clock;
    this.#state = state;
  }

  /** A client of an earlier agent's, whose connections went with that: it has as long to come back as if they had just broken. */
  adopt(session: string, { id, name, version, protocol, peer }: ClientFacts): void {
    const client = new Client({ id, protocol, peer }, this.#clock);
    client.connections.clear();
    client.name = name;
    client.version = version;
    client.session = session;
    this.#bySession.set(session, client);
    client.cancelGrace = this.#clock.after(SESSION_GRACE_MS, () => this.#gone(client));
  }

  /** undefined for a session that is over. */
  ofSession(session: string): Client | undefined {
    return this.#bySession.get(session);
  }

  get all(): Client[] {
    return [...new Set([...this.#byConnection.values(), ...this.#bySession.values()])];
  }

  /** The client of a connection, if it has made a call of Berth's own API. */
  find(connectionId: string): Client | undefined {
    return this.#byConnection.get(connectionId);
  }

  /** The client of a connection; made at its first call. */
  of(connection: CallingConnection): Client {
    const known = this.#byConnection.get(connection.id);
    if (known !== undefined) return known;
    const client = new Client(connection, this.#clock);
    this.#byConnection.set(connection.id, client);
    this.#tell('client.connected', client);
    return client;
  }

  /**
   * The client of the connection says who it is. With the session of an earlier connection it is that client from now on.
   * @param fresh the session it gets otherwise: unguessable
   * @throws failed_precondition when it has said so already; not_found for a session that is over; resource_exhausted
   */
  hello(connection: CallingConnection, said: { name: string; version: string; session: string }, fresh: string): Client {
    const current = this.of(connection);
    if (current.session !== '') {
      throw new AgentError('failed_precondition', 'this connection has said hello already', { fields: { client: current.id } });
    }
    if (said.session !== '') {
      if (current.goneListeners.size > 0) {
        throw new AgentError('failed_precondition', 'this connection owns something already: resume a session first', {
          fields: { client: current.id },
        });
      }
      return this.#resume(connection, current, said.session);
    }
    if (this.#bySession.size >= MAX_CLIENTS) throw overLimit('clients', MAX_CLIENTS);
    current.name = said.name;
    current.version = said.version;
    current.session = fresh;
    this.#bySession.set(fresh, current);
    const { id, name, version, protocol, peer } = current;
    this.#state?.put(CLIENT_KIND, fresh, { id, name, version, protocol, peer } satisfies ClientFacts);
    return current;
  }

  /** Calls back once when the client has gone for good; returns what ends that. */
  onGone(client: Client, callback: () => void): () => void {
    client.goneListeners.add(callback);
    return () => client.goneListeners.delete(callback);
  }

  /** The transport says that a connection has ended. */
  disconnected(connectionId: string): void {
    const client = this.#byConnection.get(connectionId);
    if (client === undefined) return;
    this.#byConnection.delete(connectionId);
    client.connections.delete(connectionId);
    if (client.connections.size > 0) return;
    if (client.session === '') this.#gone(client);
    else client.cancelGrace = this.#clock.after(SESSION_GRACE_MS, () => this.#gone(client));
  }

  #resume(connection: CallingConnection, placeholder: Client, session: string): Client {
    const client = this.#bySession.get(session);
    if (client === undefined) {
      throw new AgentError('not_found', 'the session is over', { fields: { missing: 'session', field: 'session' } });
    }
    client.cancelGrace?.();
    client.cancelGrace = undefined;
    client.id = placeholder.id;
    client.protocol = connection.protocol;
    client.peer = connection.peer;
    client.connections.add(connection.id);
    this.#byConnection.set(connection.id, client);
    return client;
  }

  #gone(client: Client): void {
    this.#bySession.delete(client.session);
    this.#state?.remove(CLIENT_KIND, client.session);
    this.#tell('client.disconnected', client);
    for (const listener of client.goneListeners) listener();
    client.goneListeners.clear();
  }

  #tell(kind: string, client: Client): void {
    const { id, name, protocol, peer } = client;
    this.#events.append({ kind, client: { id, name }, fields: { protocol, peer } });
  }
}

function overLimit(limit: string, bound: number): AgentError {
  return new AgentError('resource_exhausted', `over this client's limit of ${bound} ${limit}`, { fields: { limit, bound } });
}
