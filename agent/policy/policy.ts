// The policy: which calls may be made. Compiled once, asked on each call; pure.
// A call is refused when a `deny` rule matches it, or when a `require` rule is about it and does not hold; else an `allow` rule
// permits it, or the default does. The order of rules in the file means nothing.
import { describeError } from '../errors.ts';
import { anyOf, type Condition, compileConditions } from './condition.ts';
import type { Effect, PolicyDocument, RuleDocument } from './document.ts';
import type { Fact, Facts } from './facts.ts';
import type { Matcher } from './glob.ts';

export interface MethodName {
  /** `grpc.AgentService` */
  readonly service: string;
  /** `CreateContainer` */
  readonly name: string;
}

export interface Asking {
  /** `vsock:2:1234`, `unix` */
  readonly peer: string;
}

export type Decision =
  | { readonly allowed: true; readonly rule: string }
  | { readonly allowed: false; readonly rule: string; readonly reason: string; readonly fact?: Fact };

/** The policy for the calls of one method. */
export interface MethodPolicy {
  /** Never throws: what can't be decided is refused. */
  decide(asking: Asking, facts: Facts): Decision;
  /** Whether some request of this caller could pass; told before its first message is there. */
  decideOpen(asking: Asking): Decision;
}

export interface Policy {
  /** Undefined when the policy refuses none of its calls. */
  forMethod(method: MethodName): MethodPolicy | undefined;
}

/** A policy that refuses everything, and why: for a file that can't be used. */
export function refuseAll(reason: string): Policy {
  const decision: Decision = { allowed: false, rule: 'none', reason };
  return { forMethod: () => ({ decide: () => decision, decideOpen: () => decision }) };
}

export function compilePolicy(document: PolicyDocument): Policy {
  const rules = document.rules.map(compileRule);
  return {
    forMethod(method) {
      const about = rules.filter((rule) => rule.speaksOf(method));
      const of = (effect: Effect) => about.filter((rule) => rule.effect === effect);
      const [deny, require, allow] = [of('deny'), of('require'), of('allow')];
      const open = document.fallback === 'allow';
      if (open && deny.length === 0 && require.length === 0) return undefined;
      return methodPolicy({ method: method.name, open, deny, require, allow });
    },
  };
}

/** Whether `pattern` of an `rpcs` list is about the method: `Service/Method` when it has a slash, else the method's own name. */
export function rpcMatcher(patterns: readonly string[]): (method: MethodName) => boolean {
  const full = anyOf(patterns.filter((pattern) => pattern.includes('/')));
  const bare = anyOf(patterns.filter((pattern) => !pattern.includes('/')));
  return ({ service, name }) => bare(name) || full(`${service}/${name}`);
}

interface Rule {
  readonly name: string;
  readonly effect: Effect;
  readonly speaksOf: (method: MethodName) => boolean;
  readonly container: Matcher | undefined;
  readonly peer: Matcher | undefined;
  readonly conditions: readonly Condition[];
}

function compileRule(document: RuleDocument): Rule {
  return {
    name: document.name,
    effect: document.effect,
    speaksOf: rpcMatcher(document.rpcs),
    container: document.containers && anyOf(document.containers),
    peer: document.peers && anyOf(document.peers),
    conditions: compileConditions(document),
  };
}

interface MethodRules {
  readonly method: string;
  /** The default is to allow. */
  readonly open: boolean;
  readonly deny: readonly Rule[];
  readonly require: readonly Rule[];
  readonly allow: readonly Rule[];
}

function methodPolicy(rules: MethodRules): MethodPolicy {
  return {
    decide(asking, facts) {
      try {
        return decide(rules, asking, facts);
      } catch (error) {
        return { allowed: false, rule: 'none', reason: `it can't be decided: ${describeError(error)}` };
      }
    },
    decideOpen(asking) {
      const { method, open, deny, allow } = rules;
      const flat = deny.find((rule) => asks(rule, asking) && rule.container === undefined && rule.conditions.length === 0);
      if (flat !== undefined) return denied(flat);
      if (open || allow.some((rule) => asks(rule, asking))) return { allowed: true, rule: 'default' };
      return { allowed: false, rule: 'default', reason: `no rule allows ${method}` };
    },
  };
}

function decide({ method, open, deny, require, allow }: MethodRules, asking: Asking, facts: Facts): Decision {
  for (const rule of deny) {
    if (!concerns(rule, asking, facts, 'some')) continue;
    const found = rule.conditions.map((condition) => condition.select(facts).find(({ value }) => condition.matches(value)));
    if (found.every((fact) => fact !== undefined)) return denied(rule, found[0]);
  }
  for (const rule of require) {
    if (!concerns(rule, asking, facts, 'some')) continue;
    const broken = outside(rule, facts);
    if (broken) return { allowed: false, rule: rule.name, reason: `rule "${rule.name}" requires otherwise`, fact: broken };
  }
  let nearest: { rule: Rule; fact: Fact } | undefined;
  for (const rule of allow) {
    if (!concerns(rule, asking, facts, 'every')) continue;
    const fact = outside(rule, facts);
    if (fact === undefined) return { allowed: true, rule: rule.name };
    nearest ??= { rule, fact };
  }
  if (open) return { allowed: true, rule: 'default' };
  if (nearest === undefined) return { allowed: false, rule: 'default', reason: `no rule allows ${subject(method, facts)}` };
  const { rule, fact } = nearest;
  return { allowed: false, rule: rule.name, reason: `no rule allows it, and rule "${rule.name}" does not cover this`, fact };
}

function denied(rule: Rule, fact?: Fact): Decision {
  return { allowed: false, rule: rule.name, reason: `rule "${rule.name}" denies it`, fact };
}

/** The first thing asked for that the rule does not cover. */
function outside(rule: Rule, facts: Facts): Fact | undefined {
  for (const condition of rule.conditions) {
    const fact = condition.select(facts).find(({ value }) => !condition.matches(value));
    if (fact !== undefined) return fact;
  }
  return undefined;
}

function asks({ peer }: Rule, asking: Asking): boolean {
  return peer === undefined || peer(asking.peer);
}

function concerns(rule: Rule, asking: Asking, facts: Facts, quantifier: 'some' | 'every'): boolean {
  if (!asks(rule, asking)) return false;
  const { container } = rule;
  return container === undefined || (facts.containers.length > 0 && facts.containers[quantifier](container));
}

function subject(method: string, facts: Facts): string {
  return facts.containers.length === 0 ? method : `${method} in container ${facts.containers.join(', ')}`;
}
