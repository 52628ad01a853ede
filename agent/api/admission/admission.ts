// The guard of every RPC: asks the policy, tells the log, and refuses in the words that Kata's clients know (kata-agent.md §3.0).
import { AgentError, describeError } from '../../errors.ts';
import type { LogFields, Logger } from '../../log.ts';
import { type Call, DecisionLog } from '../../policy/decision-log.ts';
import { type Fact, type Facts, NO_FACTS } from '../../policy/facts.ts';
import type { Decision, MethodPolicy, Policy } from '../../policy/policy.ts';
import { type Caller, type Guard, type Method, type MethodGuard, methodPath } from '../../rpc/service.ts';
import { messageFacts } from './message-facts.ts';

/** Whatever the policy says: a host that gets no answer ends the pod, and would not even learn why it is refused the rest. */
export const NEVER_REFUSED: ReadonlySet<string> = new Set([
  '/grpc.Health/Check',
  '/grpc.Health/Version',
  '/grpc.health.v1.Health/Check',
  '/grpc.health.v1.Health/Watch',
]);

/** Of an offending value in an error and in the log. */
const SHOWN_CHARS = 128;

/** @param now monotonic milliseconds */
export function admission(policy: Policy, log: Logger, now: () => number = () => performance.now()): Guard {
  const decisions = new DecisionLog(log, now);
  return {
    forMethod(method) {
      const path = methodPath(method);
      const rules = NEVER_REFUSED.has(path) ? undefined : policy.forMethod(method);
      return rules && new MethodAdmission(path, requestName(method), rules, decisions);
    },
  };
}

class MethodAdmission implements MethodGuard {
  readonly #path: string;
  readonly #request: string;
  readonly #rules: MethodPolicy;
  readonly #log: DecisionLog;

  constructor(path: string, request: string, rules: MethodPolicy, log: DecisionLog) {
    this.#path = path;
    this.#request = request;
    this.#rules = rules;
    this.#log = log;
  }

  admit(request: unknown, caller: Caller): void {
    const facts = readFacts(request, []);
    this.#settle(this.#decide(caller, facts), caller, facts);
  }

  open(caller: Caller): (request: unknown) => void {
    this.#settle(this.#rules.decideOpen(caller), caller, NO_FACTS);
    let containers: readonly string[] = [];
    let first = true;
    return (request) => {
      const facts = readFacts(request, containers);
      ({ containers } = facts);
      const decision = this.#decide(caller, facts);
      // One line a stream is enough of what is allowed.
      if (first || !decision.allowed) this.#settle(decision, caller, facts);
      first = false;
    };
  }

  #decide(caller: Caller, facts: UsableFacts): Decision {
    if (facts.unreadable === undefined) return this.#rules.decide(caller, facts);
    // What denies the method whatever it asks for is the better reason.
    const whole = this.#rules.decideOpen(caller);
    if (!whole.allowed) return whole;
    return { allowed: false, rule: 'none', reason: `it can't be decided: ${facts.unreadable}` };
  }

  #settle(decision: Decision, caller: Caller, facts: Facts): void {
    const call = (): Call => ({ method: this.#path, client: caller.id, peer: caller.peer, containers: facts.containers });
    if (decision.allowed) {
      this.#log.allowed(call, decision);
      return;
    }
    const { rule, reason, fact } = decision;
    const offence = fact && { field: fact.field, value: shown(fact) };
    this.#log.refused(call(), decision, { reason, ...offence } satisfies LogFields);
    const what = offence ? `: ${offence.field} is ${offence.value}` : '';
    throw new AgentError('permission_denied', `${this.#request} is blocked by policy: ${reason}${what}`, {
      fields: { rule, field: fact?.field },
    });
  }
}

interface UsableFacts extends Facts {
  /** Why there are none. */
  readonly unreadable?: string;
}

function readFacts(request: unknown, inherited: readonly string[]): UsableFacts {
  try {
    return messageFacts(request, inherited);
  } catch (error) {
    return { ...NO_FACTS, unreadable: describeError(error) };
  }
}

/** Kata names the message, not the method: `GuestDetailsRequest is blocked by policy: ...`. */
function requestName({ request, name }: Method): string {
  return (request as { readonly name?: string }).name || `${name}Request`;
}

/** A variable may hold a secret: its name is enough to know which one. */
function shown({ field, value }: Fact): string {
  const told = /\bEnv\[\d+\]$/.test(field) && typeof value === 'string' ? `${value.split('=', 1)[0]}=...` : value;
  const text = JSON.stringify(told);
  return text.length <= SHOWN_CHARS ? text : `${text.slice(0, SHOWN_CHARS)}...`;
}
