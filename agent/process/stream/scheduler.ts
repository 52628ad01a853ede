// Deficit round robin by bytes over clients, then over a client's streams. Pure: it decides who is next; bytes and sockets are elsewhere.
// In a round each may send QUANTUM_BYTES; who sends more in one piece owes it to the next round. A client whose bytes in flight fill its
// window is passed over, so one that never reads costs its window and nothing else.
import type { Turn, Turns } from './turns.ts';

const KIB = 1024;
/** A share of one round. */
export const QUANTUM_BYTES = 64 * KIB;
/** The most that leaves in one piece; what is more than a share is owed to later rounds. */
export const MAX_PIECE_BYTES = 128 * KIB;
/** A client's bytes that were sent and are still in the agent's memory. */
export const CLIENT_WINDOW_BYTES = 256 * KIB;
/** All clients' together; beyond it a client has only the small window, so that many who never read stay cheap. */
export const TOTAL_WINDOW_BYTES = 8 * 1024 * KIB;
export const SMALL_WINDOW_BYTES = 32 * KIB;
/** What may leave before other events of the loop get their chance. */
export const LOOP_TURN_BYTES = 256 * KIB;

interface Request {
  readonly maxBytes: number;
  grant(turn: Turn): void;
}

/** Someone who takes part in rounds. */
interface Member {
  round: number;
  deficit: number;
}

interface Rounds {
  current: number;
  /** All have had the time to ask again since the round began. */
  mayBegin: boolean;
}

interface Stream extends Member {
  readonly waiting: Set<Request>;
}

interface Client extends Member {
  readonly streams: Map<object, Stream>;
  readonly rounds: Rounds;
  inFlight: number;
}

export interface SchedulerOptions {
  readonly windowBytes?: number;
  /** Runs a callback when other events of the loop have had their chance; setImmediate unless told. */
  readonly defer?: (callback: () => void) => void;
}

export class Scheduler implements Turns {
  readonly #clients = new Map<string, Client>();
  readonly #windowBytes: number;
  readonly #defer: (callback: () => void) => void;
  readonly #rounds: Rounds = { current: 0, mayBegin: false };
  #leftOfTurn = LOOP_TURN_BYTES;
  #inFlight = 0;
  #deferred = false;

  constructor({ windowBytes = CLIENT_WINDOW_BYTES, defer = setImmediate }: SchedulerOptions = {}) {
    this.#windowBytes = windowBytes;
    this.#defer = defer;
  }

  /** Bytes of a client that were sent and have not left the agent's memory. */
  inFlight(client: string): number {
    return this.#clients.get(client)?.inFlight ?? 0;
  }

  turn(client: string, stream: object, maxBytes: number, signal?: AbortSignal): Promise<Turn> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      const request: Request = {
        maxBytes: Math.min(maxBytes, MAX_PIECE_BYTES),
        grant: (turn) => {
          signal?.removeEventListener('abort', onAbort);
          resolve(turn);
        },
      };
      const onAbort = () => {
        this.#withdraw(client, stream, request);
        reject(signal?.reason);
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#enqueue(client, stream, request);
      this.#run();
    });
  }

  #enqueue(name: string, key: object, request: Request): void {
    let client = this.#clients.get(name);
    if (client === undefined) {
      client = { round: -1, deficit: 0, streams: new Map(), rounds: { current: 0, mayBegin: false }, inFlight: 0 };
      this.#clients.set(name, client);
    }
    let stream = client.streams.get(key);
    if (stream === undefined) {
      stream = { round: -1, deficit: 0, waiting: new Set() };
      client.streams.set(key, stream);
    }
    stream.waiting.add(request);
  }

  #withdraw(name: string, key: object, request: Request): void {
    this.#clients.get(name)?.streams.get(key)?.waiting.delete(request);
    this.#deferRest();
  }

  #run(): void {
    while (this.#leftOfTurn > 0) {
      const chosen = this.#choose();
      if (chosen === undefined) break;
      this.#grant(...chosen);
    }
    if ([...this.#clients.values()].some((client) => this.#maySend(client))) this.#deferRest();
  }

  /** The next client that may send, and its next stream. */
  #choose(): [Client, Stream, Request] | undefined {
    const ready = [...this.#clients].filter(([, client]) => this.#maySend(client));
    const nextClient = inRound(ready, this.#rounds, this.#unblocked === 1);
    if (nextClient === undefined) return undefined;
    const [name, client] = nextClient;
    const streams = [...client.streams].filter(([, stream]) => stream.waiting.size > 0);
    const nextStream = inRound(streams, client.rounds, client.streams.size === 1);
    if (nextStream === undefined) return undefined;
    const [key, stream] = nextStream;
    const [request] = stream.waiting;
    toTheEnd(this.#clients, name, client);
    toTheEnd(client.streams, key, stream);
    return [client, stream, request!];
  }

  get #unblocked(): number {
    let count = 0;
    for (const client of this.#clients.values()) if (this.#roomOf(client) > 0) count++;
    return count;
  }

  #maySend(client: Client): boolean {
    return this.#roomOf(client) > 0 && wants(client);
  }

  #roomOf(client: Client): number {
    return (this.#inFlight < TOTAL_WINDOW_BYTES ? this.#windowBytes : SMALL_WINDOW_BYTES) - client.inFlight;
  }

  #grant(client: Client, stream: Stream, request: Request): void {
    stream.waiting.delete(request);
    const granted = Math.min(request.maxBytes, this.#roomOf(client));
    client.inFlight += granted;
    this.#inFlight += granted;
    client.deficit -= granted;
    stream.deficit -= granted;
    this.#leftOfTurn -= granted;
    this.#deferRest();
    let inFlight = granted;
    let taken = false;
    const settle = (left: number) => {
      client.inFlight -= inFlight - left;
      this.#inFlight -= inFlight - left;
      inFlight = left;
      this.#deferRest();
    };
    request.grant({
      bytes: granted,
      take: (bytes) => {
        if (taken) return;
        taken = true;
        const back = granted - bytes;
        if (back === 0) return;
        client.deficit += back;
        stream.deficit += back;
        this.#leftOfTurn = Math.min(LOOP_TURN_BYTES, this.#leftOfTurn + back);
        settle(bytes);
      },
      done: () => {
        taken = true;
        if (inFlight === 0) return;
        settle(0);
        this.#run();
      },
    });
  }

  /** The rest waits until other events have been seen to. */
  #deferRest(): void {
    if (this.#deferred) return;
    this.#deferred = true;
    this.#defer(() => {
      this.#deferred = false;
      this.#leftOfTurn = LOOP_TURN_BYTES;
      for (const [name, client] of this.#clients) this.#tidy(name, client);
      this.#rounds.mayBegin = true;
      for (const client of this.#clients.values()) client.rounds.mayBegin = true;
      this.#run();
    });
  }

  /** Forgets who is idle. What they owe is forgotten too: when everybody's turn of the loop is over nobody was kept waiting for it. */
  #tidy(name: string, client: Client): void {
    if (!wants(client)) {
      client.streams.clear();
      if (client.inFlight === 0) this.#clients.delete(name);
      return;
    }
    for (const [key, stream] of client.streams) {
      if (stream.waiting.size === 0 && stream.round !== client.rounds.current) client.streams.delete(key);
    }
  }
}

function wants(client: Client): boolean {
  for (const stream of client.streams.values()) if (stream.waiting.size > 0) return true;
  return false;
}

/**
 * The first in order that has some of its share left. When nobody has, a new round begins, but not before all have had the time to ask
 * again: who sends in small pieces would lose the rest of its share each time.
 */
function inRound<K, M extends Member>(members: readonly [K, M][], rounds: Rounds, alone: boolean): [K, M] | undefined {
  const mayBegin = rounds.mayBegin || alone;
  rounds.mayBegin = false;
  for (;;) {
    const found = members.find(([, state]) => shareLeft(state, rounds.current) > 0);
    if (found !== undefined || members.length === 0 || !mayBegin) return found;
    rounds.current++;
  }
}

function shareLeft(state: Member, round: number): number {
  if (state.round !== round) {
    // Debts are kept, savings are not.
    state.deficit = Math.min(0, state.deficit) + QUANTUM_BYTES;
    state.round = round;
  }
  return state.deficit;
}

function toTheEnd<K, V>(map: Map<K, V>, key: K, value: V): void {
  map.delete(key);
  map.set(key, value);
}
