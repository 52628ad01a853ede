// Out-of-memory events on their way to the host, which asks for one at a time (GetOOMEvent).
import { AgentError } from '../errors.ts';

/** Events kept while nobody asks; the oldest go first, and are counted. */
const MAX_EVENTS = 100;
/** Clients that may ask at the same time. */
const MAX_WAITING = 128;

interface WaitingClient {
  resolve(containerId: string): void;
  reject(error: unknown): void;
}

export class OomQueue {
  readonly #events: string[] = [];
  readonly #waiting = new Set<WaitingClient>();
  readonly #keep: (events: readonly string[]) => void;
  #dropped = 0;
  #closed = false;

  /** @param keep writes down what nobody has asked for yet, for an agent that comes after this one */
  constructor(keep: (events: readonly string[]) => void = () => {}) {
    this.#keep = keep;
  }

  /** What an earlier agent could not tell. */
  adopt(events: readonly string[]): void {
    this.#events.push(...events);
  }

  /** Events that were pushed out unread. */
  get dropped(): number {
    return this.#dropped;
  }

  push(containerId: string): void {
    if (this.#closed) return;
    const [next] = this.#waiting;
    if (next !== undefined) {
      next.resolve(containerId);
      return;
    }
    this.#events.push(containerId);
    if (this.#events.length > MAX_EVENTS) {
      this.#events.shift();
      this.#dropped++;
    }
    this.#keep(this.#events);
  }

  /**
   * The id of the next container that lost a process to the OOM killer. A client that has gone leaves nothing behind
   * that could swallow an event.
   * @throws internal when the sandbox is destroyed
   */
  next(signal: AbortSignal): Promise<string> {
    if (signal.aborted) return Promise.reject(signal.reason);
    const event = this.#events.shift();
    if (event !== undefined) {
      this.#keep(this.#events);
      return Promise.resolve(event);
    }
    if (this.#closed) return Promise.reject(destroyed());
    if (this.#waiting.size >= MAX_WAITING) {
      return Promise.reject(
        new AgentError('resource_exhausted', 'too many clients wait for OOM events', { fields: { limit: 'oom-waiters' } }),
      );
    }
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiting.delete(client);
        signal.removeEventListener('abort', onAbort);
      };
      const onAbort = () => {
        leave();
        reject(signal.reason);
      };
      const client: WaitingClient = {
        resolve: (id) => {
          leave();
          resolve(id);
        },
        reject: (error) => {
          leave();
          reject(error);
        },
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiting.add(client);
    });
  }

  /** Ends the stream of events for everybody. */
  close(): void {
    this.#closed = true;
    for (const client of this.#waiting) client.reject(destroyed());
  }
}

function destroyed(): AgentError {
  return new AgentError('internal', 'the sandbox is destroyed');
}
