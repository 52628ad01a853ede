// What the policy decided, as log lines: each refusal as a warning, each permission at debug. A client that asks again and again
// can't fill the log: lines beyond the rate are counted, and the count is told with the next line.
import type { LogFields, Logger } from '../log.ts';
import type { Decision } from './policy.ts';

export const BURST_LINES = 50;
export const LINES_PER_SECOND = 10;

export interface Call {
  /** `/grpc.AgentService/ExecProcess` */
  readonly method: string;
  /** `c17` */
  readonly client: string;
  readonly peer: string;
  readonly containers: readonly string[];
}

export class DecisionLog {
  readonly #log: Logger;
  readonly #refusals: Rate;
  readonly #permissions: Rate;

  /** @param now monotonic milliseconds */
  constructor(log: Logger, now: () => number) {
    this.#log = log;
    this.#refusals = new Rate(now);
    this.#permissions = new Rate(now);
  }

  /** @param shown the offending field and value, fit for a log */
  refused(call: Call, decision: Decision, shown: LogFields): void {
    const suppressed = this.#refusals.take();
    if (suppressed === undefined) return;
    this.#log.warn('call denied by policy', { ...fieldsOf(call), rule: decision.rule, ...shown, ...lost(suppressed) });
  }

  allowed(call: () => Call, decision: Decision): void {
    if (!this.#log.enabled('debug')) return;
    const suppressed = this.#permissions.take();
    if (suppressed === undefined) return;
    this.#log.debug('call allowed by policy', { ...fieldsOf(call()), rule: decision.rule, ...lost(suppressed) });
  }
}

function fieldsOf({ method, client, peer, containers }: Call): LogFields {
  return { method, client, peer, ...(containers.length > 0 ? { container: containers.join(',') } : {}) };
}

function lost(suppressed: number): LogFields {
  return suppressed > 0 ? { suppressed } : {};
}

/** A bucket of tokens: one a line. */
class Rate {
  readonly #now: () => number;
  #tokens = BURST_LINES;
  #filledAt: number;
  #suppressed = 0;

  constructor(now: () => number) {
    this.#now = now;
    this.#filledAt = now();
  }

  /** How many lines were left out since the last one; undefined when this one is left out too. */
  take(): number | undefined {
    const now = this.#now();
    this.#tokens = Math.min(BURST_LINES, this.#tokens + ((now - this.#filledAt) / 1000) * LINES_PER_SECOND);
    this.#filledAt = now;
    if (this.#tokens < 1) {
      this.#suppressed++;
      return undefined;
    }
    this.#tokens--;
    const suppressed = this.#suppressed;
    this.#suppressed = 0;
    return suppressed;
  }
}
