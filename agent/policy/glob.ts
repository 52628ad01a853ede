// Patterns of a policy: `*` is any text without a slash, `**` any text, `?` one character that is no slash.
// Matched by walking all positions at once, so that no text and no pattern makes it take more than length times length.
import { AgentError } from '../errors.ts';

export type Matcher = (text: string) => boolean;

/** Longer texts are matched by patterns without wildcards, or with one `**` at the end, and by no others. */
export const MAX_MATCHED_CHARS = 65_536;

const ANY = 1;
const ANY_BUT_SLASH = 2;
const ONE_BUT_SLASH = 3;
type Step = string | typeof ANY | typeof ANY_BUT_SLASH | typeof ONE_BUT_SLASH;

/**
 * @returns a matcher of whole texts
 * @throws (the matcher) resource_exhausted for a text that is too long to be judged
 */
export function glob(pattern: string): Matcher {
  const steps = parse(pattern);
  if (steps.every((step) => typeof step === 'string')) return (text) => text === pattern;
  if (steps.at(-1) === ANY && steps.slice(0, -1).every((step) => typeof step === 'string')) {
    const start = pattern.slice(0, -2);
    return (text) => text.startsWith(start);
  }
  const head = pattern.slice(0, pattern.search(/[*?]/));
  const rest = steps.slice(head.length);
  return (text) => {
    if (!text.startsWith(head)) return false;
    if (text.length > MAX_MATCHED_CHARS) {
      throw new AgentError('resource_exhausted', `a text of ${text.length} characters is too long for the pattern ${pattern}`);
    }
    return walk(rest, text.slice(head.length));
  };
}

function parse(pattern: string): Step[] {
  const steps: Step[] = [];
  for (let at = 0; at < pattern.length; at++) {
    const char = pattern[at] as string;
    if (char === '?') steps.push(ONE_BUT_SLASH);
    else if (char !== '*') steps.push(char);
    else if (pattern[at + 1] === '*') {
      steps.push(ANY);
      at++;
    } else steps.push(ANY_BUT_SLASH);
  }
  return steps;
}

/** `here` holds the positions in the pattern that the text so far leads to. */
function walk(steps: readonly Step[], text: string): boolean {
  let here = reach(steps, new Set([0]));
  for (let at = 0; at < text.length && here.size > 0; at++) {
    const char = text[at];
    const next = new Set<number>();
    for (const position of here) {
      const step = steps[position];
      if (step === ANY || (step === ANY_BUT_SLASH && char !== '/')) next.add(position);
      else if (step === char || (step === ONE_BUT_SLASH && char !== '/')) next.add(position + 1);
    }
    here = reach(steps, next);
  }
  return here.has(steps.length);
}

/** A wildcard may also stand for nothing. Positions added while the set is walked are walked as well. */
function reach(steps: readonly Step[], positions: Set<number>): Set<number> {
  for (const position of positions) {
    const step = steps[position];
    if (step === ANY || step === ANY_BUT_SLASH) positions.add(position + 1);
  }
  return positions;
}
