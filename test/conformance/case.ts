// What a conformance case is: data that any Kata-compatible agent can be run against. Nothing in a case is a function, so a case is
// the same after a turn through JSON. README.md tells what each word does; runner/ is what does it.

export type Kind = 'normal' | 'edge' | 'bad-input';
export type Protocol = 'ttrpc' | 'grpc';

/**
 * A value of a request or of what is expected. Text may hold `%{name}`; an object may stand for something else:
 * `$like` a template with the object's other members on top, `$hex`, `$repeat` and `$times` bytes or text.
 */
export type Data = null | boolean | number | string | readonly Data[] | { readonly [name: string]: Data | undefined };

/** Codes of google.rpc.Code by name. */
export type CodeName =
  | 'CANCELLED'
  | 'UNKNOWN'
  | 'INVALID_ARGUMENT'
  | 'DEADLINE_EXCEEDED'
  | 'NOT_FOUND'
  | 'PERMISSION_DENIED'
  | 'RESOURCE_EXHAUSTED'
  | 'UNIMPLEMENTED'
  | 'INTERNAL'
  | 'UNAVAILABLE';

export interface Refusal {
  /** Any one of them. */
  readonly code: CodeName | readonly CodeName[];
  /** A regular expression that the text holds, letters in either case. */
  readonly text?: string;
}

/** One call. Without `fails` it has to succeed. */
export interface CallStep {
  readonly call: string;
  /** Fields by their names in the protocol's definition. */
  readonly request?: Data;
  /** The payload itself, hexadecimal, in place of `request`. */
  readonly payload?: string;
  /** What the answer has to hold; members that are not named are not looked at. */
  readonly reply?: Data;
  readonly fails?: Refusal;
  /** Keeps the answer: `%{as.field}`. */
  readonly as?: string;
  /** Does not wait: `join` does, by this name. */
  readonly later?: string;
  /** Over another connection of this name, opened when first named. */
  readonly over?: string;
  /** The call's own deadline, told to the agent. */
  readonly deadlineMs?: number;
}

export interface JoinStep {
  readonly join: string;
  readonly reply?: Data;
  readonly fails?: Refusal;
  readonly as?: string;
}

/** The call of this name must still be without an answer. */
export interface PendingStep {
  readonly pending: string;
  readonly forMs?: number;
}

/** A shell script that runs in the guest, outside every container. `$G` is where the guest's own root is seen. */
export interface GuestStep {
  readonly guest: string;
  /** What it prints, trimmed at the end, or a matcher of it. It has to end with status 0. */
  readonly prints?: Data;
  /** Tries again until then. */
  readonly withinMs?: number;
  readonly as?: string;
}

/** Reads a stream to its end. */
export interface CollectStep {
  readonly collect: 'stdout' | 'stderr';
  readonly container: string;
  readonly exec?: string;
  /** All of it, or a matcher of it. */
  readonly text?: Data;
  readonly as?: string;
}

/** Takes the steps of a fragment; its names are given values here. */
export interface UseStep {
  readonly use: string;
  readonly with?: { readonly [name: string]: Data };
}

export interface HangUpStep {
  /** Ends the connection of this name. */
  readonly hangUp: string;
}

/** The agent, and the VM if the agent is its init, has to end. */
export interface GoneStep {
  readonly goneWithinMs: number;
}

export type Step = CallStep | JoinStep | PendingStep | GuestStep | CollectStep | UseStep | HangUpStep | GoneStep;

export interface ConformanceCase {
  /** `family/what-it-shows`, unique. */
  readonly id: string;
  /** The RPC this case counts for. */
  readonly rpc: string;
  readonly kind: Kind;
  /** Default both. */
  readonly protocols?: readonly Protocol[];
  /** Leads to the state in which the case begins. */
  readonly given?: readonly Step[];
  readonly steps: readonly Step[];
  /**
   * Regular expressions, each of a thing that is there after `steps` and was not before: `mount PATH`, `cgroup PATH`, `file PATH`,
   * `process NAME`. Of a bad input nothing may be, whether or not this says so.
   */
  readonly leaves?: readonly string[];
  /** Undoes what is more than containers; runs whatever happened before. */
  readonly finally?: readonly Step[];
  /** No other container may exist: the runner takes its own away. */
  readonly alone?: true;
  /** The agent is gone afterwards. */
  readonly ends?: true;
}

/** A kind of case that an RPC does not have, and why it can't have one. */
export interface Exemption {
  readonly rpc: string;
  readonly kind: Kind;
  readonly because: string;
}
