// One call as its handler sees it. The AbortController is made when a handler first asks for the signal: most never do.
import type { AgentError } from '../errors.ts';
import type { CallContext, Caller } from './service.ts';

export class Call implements CallContext {
  readonly caller: Caller;
  readonly metadata: ReadonlyMap<string, string>;
  #controller: AbortController | undefined;
  #reason: AgentError | undefined;

  constructor(caller: Caller, metadata: ReadonlyMap<string, string>) {
    this.caller = caller;
    this.metadata = metadata;
  }

  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.#reason) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  /** Why nobody waits for the answer any more. */
  get aborted(): AgentError | undefined {
    return this.#reason;
  }

  /** The first reason counts. */
  abort(reason: AgentError): void {
    if (this.#reason) return;
    this.#reason = reason;
    this.#controller?.abort(reason);
  }
}
