// Compiles the conditions of one rule into tests of single values. A path is resolved by its text before it is compared, so that
// neither `..` nor a doubled slash leads around a pattern.
import { posix } from 'node:path';
import type { RecordPattern, RuleDocument } from './document.ts';
import { type ConditionName, type Fact, type Facts, type FactValue, RECORD_CONDITIONS, type RecordCondition } from './facts.ts';
import { glob, type Matcher } from './glob.ts';

/**
 * How the parts of a list within one thing (the options of a mount) are taken: what is permitted must cover all of them,
 * what is forbidden is found in any.
 */
export type Quantifier = 'every' | 'some';

export interface Condition {
  select(facts: Facts): readonly Fact[];
  matches(value: FactValue): boolean;
}

/** In `args`, at the end: any number of further arguments. */
const REST = '...';

export function compileConditions(rule: RuleDocument): Condition[] {
  const quantifier: Quantifier = rule.effect === 'deny' ? 'some' : 'every';
  const conditions: Condition[] = [];
  const about = (name: string, matches: Condition['matches']) =>
    conditions.push({ select: (facts) => facts.about(name as ConditionName), matches });

  for (const [name, patterns] of Object.entries(rule.texts)) about(name, textTest(name, patterns));
  for (const [name, ranges] of Object.entries(rule.numbers)) {
    about(name, (value) => typeof value === 'number' && ranges.some(({ low, high }) => value >= low && value <= high));
  }
  for (const [name, wanted] of Object.entries(rule.flags)) about(name, (value) => value === wanted);
  for (const [name, patterns] of Object.entries(rule.records) as [RecordCondition, readonly RecordPattern[]][]) {
    const tests = patterns.map((pattern) => recordTest(name, pattern, quantifier));
    about(name, (value) => tests.some((test) => test(value as Record<string, string | readonly string[]>)));
  }
  if (rule.args !== undefined) {
    const tests = rule.args.map(argvTest);
    about('args', (value) => tests.some((test) => test(value as readonly string[])));
  }
  for (const [path, patterns] of Object.entries(rule.fields)) {
    const [names, matches] = [path.split('.'), anyOf(patterns)];
    conditions.push({ select: (facts) => facts.at(names), matches: (value) => matches(String(value)) });
  }
  return conditions;
}

export function anyOf(patterns: readonly string[]): Matcher {
  const matchers = patterns.map(glob);
  return (text) => matchers.some((matches) => matches(text));
}

/** What comes as `NAME=value` is compared by its name, or as a whole where the pattern has a `=`. */
const NAMED_VALUES: ReadonlySet<string> = new Set(['env', 'sysctls']);
const PATHS: ReadonlySet<string> = new Set(['cwd', 'hooks', 'paths', 'rootfs']);

function textTest(name: string, patterns: readonly string[]): Condition['matches'] {
  if (PATHS.has(name)) {
    const matches = anyOf(patterns);
    return (value) => matches(plainPath(value as string));
  }
  if (!NAMED_VALUES.has(name)) {
    const matches = anyOf(patterns);
    return (value) => matches(value as string);
  }
  const whole = anyOf(patterns.filter((pattern) => pattern.includes('=')));
  const byName = anyOf(patterns.filter((pattern) => !pattern.includes('=')));
  return (value) => byName((value as string).split('=', 1)[0] as string) || whole(value as string);
}

function recordTest(condition: RecordCondition, pattern: RecordPattern, quantifier: Quantifier) {
  const kinds: Readonly<Record<string, string>> = RECORD_CONDITIONS[condition];
  const tests = Object.entries(pattern).map(([property, patterns]) => ({
    property,
    kind: kinds[property],
    matches: anyOf(patterns),
  }));
  return (record: Readonly<Record<string, string | readonly string[]>>) =>
    tests.every(({ property, kind, matches }) => {
      const value = record[property] ?? '';
      if (typeof value !== 'string') return value[quantifier](matches);
      return matches(kind === 'path' ? plainPath(value) : value);
    });
}

function argvTest(pattern: readonly string[]): (argv: readonly string[]) => boolean {
  const open = pattern.at(-1) === REST;
  const tests = (open ? pattern.slice(0, -1) : pattern).map(glob);
  return (argv) =>
    (open ? argv.length >= tests.length : argv.length === tests.length) &&
    tests.every((test, index) => test(argv[index] as string));
}

export function plainPath(path: string): string {
  if (!path.includes('/')) return path;
  const normal = posix.normalize(path);
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal;
}
