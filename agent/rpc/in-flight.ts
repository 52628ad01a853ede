// What the calls of one connection may hold while they wait: how many there are, and the bytes of their requests. The same on both protocols.
import { AgentError } from '../errors.ts';
import { MAX_REQUEST_BYTES_PER_CONNECTION, SMALL_REQUEST_BYTES } from './limits.ts';
import type { Method } from './service.ts';

export class InFlight {
  readonly #maxCalls: number;
  #calls = 0;
  #bytes = 0;

  constructor(maxCalls: number) {
    this.#maxCalls = maxCalls;
  }

  /** @throws resource_exhausted naming the limit; a method that answers at once (Check) is always let in */
  check(method: Method, requestBytes: number): void {
    if (method.kind === 'unary' && method.immediate) return;
    if (this.#calls >= this.#maxCalls) throw overLimit(method.name, 'calls-in-flight', this.#maxCalls, `${this.#calls} wait`);
    const bytes = counted(requestBytes);
    if (bytes > 0 && this.#bytes + bytes > MAX_REQUEST_BYTES_PER_CONNECTION) {
      const held = `${this.#bytes} bytes wait, and this one has ${bytes}`;
      throw overLimit(method.name, 'request-bytes-in-flight', MAX_REQUEST_BYTES_PER_CONNECTION, held);
    }
  }

  begin(requestBytes: number): void {
    this.#calls++;
    this.#bytes += counted(requestBytes);
  }

  end(requestBytes: number): void {
    this.#calls--;
    this.#bytes -= counted(requestBytes);
  }
}

/** Small ones are bounded by the number of calls. */
function counted(requestBytes: number): number {
  return requestBytes > SMALL_REQUEST_BYTES ? requestBytes : 0;
}

function overLimit(method: string, limit: string, bound: number, held: string): AgentError {
  const text = `${method}: over this connection's limit of ${bound} ${limit}: ${held}`;
  return new AgentError('resource_exhausted', text, { fields: { method, limit, bound } });
}
