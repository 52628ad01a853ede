// One call as its handler sees it. The AbortController is made when a handler first asks for the signal: most never do.
import type { AgentError } from '../errors.ts';
import type { CallContext, Caller } from './service.ts';

export class Call implements CallContext {
  readonly caller: Caller;
  readonly metadata: ReadonlyMap<string, string>;
  #controller: AbortController | undefined;
  #reason: AgentError | undefined;
  #onAnswered: ((sent: boolean) => void)[] | undefined;

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

  onAnswered(listener: (sent: boolean) => void): void {
    this.#onAnswered ??= [];
    this.#onAnswered.push(listener);
  }

  /** Who wants to know about the answer that goes out now, as one callback; undefined when nobody does. */
  takeAnswered(): ((sent: boolean) => void) | undefined {
    const listeners = this.#onAnswered;
    if (listeners === undefined) return undefined;
    this.#onAnswered = undefined;
    let told = false;
    return (sent) => {
      if (told) return;
      told = true;
      for (const listener of listeners) listener(sent);
    };
  }

  /** There will be no answer, or no further one. */
  unanswered(): void {
    this.takeAnswered()?.(false);
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
