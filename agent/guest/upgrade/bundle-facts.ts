// What a bundle of the agent says of itself (its package.json, written by scripts/build-agent.ts), and whether it can run here. Pure.
import { AgentError } from '../../errors.ts';

export interface BundleFacts {
  readonly version: string;
  readonly commit: string;
  /** The highest journal schema it reads. */
  readonly journal: number;
  /** The version of berth-init's wire that it speaks. */
  readonly keeper: number;
  /** The major version of Node that it is built for. */
  readonly node: number;
  /** The verbs of the addon that it may call. */
  readonly addon: readonly string[];
}

/** What a bundle meets in this guest; all of it stays as it is. */
export interface BundleHost {
  /** The schema of the journal that the agent of now writes. */
  readonly journal: number;
  readonly keeper: number;
  readonly node: number;
  readonly hasVerb: (name: string) => boolean;
}

const MAX_TEXT = 128;
const MAX_VERBS = 1024;

/** @throws invalid_argument */
export function parseBundleFacts(text: string): BundleFacts {
  let json: { version?: unknown; berth?: Record<string, unknown> };
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw malformed('is no JSON', error);
  }
  const { version, berth } = json ?? {};
  if (typeof berth !== 'object' || berth === null)
    throw malformed('says nothing of Berth: it is of no agent, or of one before upgrades');
  const { commit, journal, keeper, node, addon } = berth;
  if (!isText(version) || !isText(commit)) throw malformed('names no version and commit');
  if (!isCount(journal) || !isCount(keeper) || !isCount(node)) throw malformed('has no numbers for journal, keeper and node');
  if (!Array.isArray(addon) || addon.length > MAX_VERBS || !addon.every(isText))
    throw malformed('does not list the verbs of the addon');
  return { version, commit, journal, keeper, node, addon };
}

/** @throws failed_precondition that says what does not fit */
export function checkBundle(facts: BundleFacts, host: BundleHost): void {
  if (facts.journal < host.journal) {
    const said = `reads journals up to schema ${facts.journal}, and the one of this guest has ${host.journal}: all that runs would be lost`;
    throw refused(facts, 'journal', said);
  }
  if (facts.keeper !== host.keeper)
    throw refused(facts, 'keeper', `speaks version ${facts.keeper} to berth-init, and the one of this guest ${host.keeper}`);
  if (facts.node !== host.node) throw refused(facts, 'node', `is built for Node ${facts.node}, and this guest has ${host.node}`);
  const missing = facts.addon.filter((verb) => !host.hasVerb(verb));
  if (missing.length > 0)
    throw refused(facts, 'addon', `needs what the addon of this guest does not have: ${missing.slice(0, 5).join(', ')}`);
}

function refused({ version, commit }: BundleFacts, what: string, why: string): AgentError {
  return new AgentError('failed_precondition', `agent ${version} (${commit}) ${why}`, { fields: { field: `bundle.${what}` } });
}

function malformed(why: string, cause?: unknown): AgentError {
  return new AgentError('invalid_argument', `package.json of the bundle ${why}`, { cause, fields: { field: 'bundle' } });
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= MAX_TEXT && !/\p{Cc}/u.test(value);
}

function isCount(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0;
}
