// A policy file as read: its keys checked, each value of the type its key asks for, nothing unknown left. A policy that is
// not understood to the last key is no policy.
import { AgentError } from '../errors.ts';
import {
  FLAG_CONDITIONS,
  NUMBER_CONDITIONS,
  PATH_CONDITIONS,
  RECORD_CONDITIONS,
  type RecordCondition,
  TEXT_CONDITIONS,
} from './facts.ts';

export const EFFECTS = ['deny', 'require', 'allow'] as const;
export type Effect = (typeof EFFECTS)[number];

export const MAX_RULES = 1024;
/** Of one list. */
export const MAX_ENTRIES = 4096;
export const MAX_TEXT_CHARS = 1024;
const MAX_ID = 0xffffffff;

export type RecordPattern = Readonly<Record<string, readonly string[]>>;
export interface NumberRange {
  readonly low: number;
  readonly high: number;
}

export interface RuleDocument {
  readonly name: string;
  readonly effect: Effect;
  readonly rpcs: readonly string[];
  readonly containers?: readonly string[];
  readonly peers?: readonly string[];
  readonly texts: Readonly<Record<string, readonly string[]>>;
  readonly numbers: Readonly<Record<string, readonly NumberRange[]>>;
  readonly flags: Readonly<Record<string, boolean>>;
  readonly records: Readonly<Partial<Record<RecordCondition, readonly RecordPattern[]>>>;
  readonly args?: readonly (readonly string[])[];
  /** By path, its parts joined by dots. */
  readonly fields: Readonly<Record<string, readonly string[]>>;
}

export interface PolicyDocument {
  /** For a call of which no rule speaks. */
  readonly fallback: 'allow' | 'deny';
  readonly rules: readonly RuleDocument[];
}

type Table = Record<string, unknown>;

/** @param value a parsed TOML document @throws invalid_argument naming rule and key */
export function readDocument(value: unknown): PolicyDocument {
  const table = asTable(value, 'the policy');
  onlyKeys(table, ['version', 'default', ...EFFECTS], 'the policy');
  if (table['version'] !== 1) refuse('version', 'must be 1');
  const fallback = table['default'];
  if (fallback !== 'allow' && fallback !== 'deny') refuse('default', 'must be "allow" or "deny"');
  const rules = EFFECTS.flatMap((effect) =>
    asList(table[effect] ?? [], effect, MAX_RULES).map((rule, index) => readRule(rule, effect, `${effect}[${index}]`)),
  );
  if (rules.length > MAX_RULES) refuse('the policy', `has ${rules.length} rules; at most ${MAX_RULES}`);
  return { fallback, rules };
}

const SCOPE = ['name', 'rpcs', 'containers', 'peers'];
const LISTS = [...TEXT_CONDITIONS, ...PATH_CONDITIONS];
const RECORDS = Object.keys(RECORD_CONDITIONS) as RecordCondition[];
const KEYS = [...SCOPE, ...LISTS, ...NUMBER_CONDITIONS, ...FLAG_CONDITIONS, ...RECORDS, 'args', 'fields'];

function readRule(value: unknown, effect: Effect, place: string): RuleDocument {
  const table = asTable(value, place);
  const name = table['name'] === undefined ? place : asText(table['name'], `${place}.name`);
  const where = `rule "${name}"`;
  onlyKeys(table, KEYS, where);
  // A condition that an RPC knows nothing of holds, so what a rule allows is never left to it alone.
  if (table['rpcs'] === undefined && effect !== 'deny') refuse(`${where}.rpcs`, 'is missing: name the RPCs it is about');
  const scope = (key: string) =>
    table[key] === undefined ? undefined : nonEmpty(texts(table[key], `${where}.${key}`), where, key);
  const given = <K extends string>(keys: readonly K[]) => keys.filter((key) => table[key] !== undefined);
  const conditions = <K extends string, T>(keys: readonly K[], read: (value: unknown, place: string) => T) =>
    Object.fromEntries(given(keys).map((key) => [key, read(table[key], `${where}.${key}`)])) as Record<K, T>;
  const list =
    <T>(read: (value: unknown, place: string) => T[]) =>
    (entry: unknown, at: string) => {
      const entries = read(entry, at);
      if (effect === 'deny' && entries.length === 0) refuse(at, 'is empty, and so denies nothing');
      return entries;
    };
  return {
    name,
    effect,
    rpcs: scope('rpcs') ?? ['*'],
    containers: scope('containers'),
    peers: scope('peers'),
    texts: conditions(LISTS, list(texts)),
    numbers: conditions(NUMBER_CONDITIONS, list(ranges)),
    flags: conditions(FLAG_CONDITIONS, asFlag),
    records: Object.fromEntries(
      given(RECORDS).map((key) => [key, list((entry, at) => records(entry, key, at))(table[key], `${where}.${key}`)]),
    ),
    args: table['args'] === undefined ? undefined : list(argvs)(table['args'], `${where}.args`),
    fields: readFields(table['fields'] ?? {}, `${where}.fields`, list(scalars)),
  };
}

/** `fields.interface.name = [...]` and `fields = { "interface.name" = [...] }` are the same. */
function readFields(value: unknown, place: string, read: (value: unknown, place: string) => string[]): Record<string, string[]> {
  const found: Record<string, string[]> = {};
  const visit = (table: Table, path: readonly string[]): void => {
    for (const [key, entry] of Object.entries(table)) {
      const here = [...path, key];
      if (typeof entry === 'object' && entry !== null && !Array.isArray(entry)) visit(entry as Table, here);
      else found[here.join('.')] = read(entry, `${place}.${here.join('.')}`);
    }
  };
  visit(asTable(value, place), []);
  for (const path of Object.keys(found))
    if (path.split('.').includes('')) refuse(`${place}.${path}`, 'is no path of field names');
  return found;
}

function records(value: unknown, condition: RecordCondition, place: string): RecordPattern[] {
  const properties = Object.keys(RECORD_CONDITIONS[condition]);
  return asList(value, place).map((entry, index) => {
    const at = `${place}[${index}]`;
    const table = asTable(entry, at);
    onlyKeys(table, properties, at);
    if (Object.keys(table).length === 0) refuse(at, 'says nothing');
    return Object.fromEntries(Object.entries(table).map(([key, patterns]) => [key, oneOrMore(patterns, `${at}.${key}`)]));
  });
}

function argvs(value: unknown, place: string): string[][] {
  return asList(value, place).map((entry, index) => nonEmpty(texts(entry, `${place}[${index}]`), place, String(index)));
}

function ranges(value: unknown, place: string): NumberRange[] {
  return asList(value, place).map((entry, index) => {
    const match = typeof entry === 'string' ? /^(\d{1,10})-(\d{1,10})$/.exec(entry) : null;
    const [low, high] = match ? [Number(match[1]), Number(match[2])] : [entry, entry];
    if (!isId(low) || !isId(high) || low > high) {
      refuse(`${place}[${index}]`, 'must be a number from 0 to 4294967295, or a range such as "1000-1999"');
    }
    return { low, high };
  });
}

function isId(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MAX_ID;
}

/** Values of plain fields, as texts. */
function scalars(value: unknown, place: string): string[] {
  return asList(value, place).map((entry, index) => {
    if (typeof entry === 'boolean' || typeof entry === 'number') return String(entry);
    return asText(entry, `${place}[${index}]`);
  });
}

function texts(value: unknown, place: string): string[] {
  return asList(value, place).map((entry, index) => asText(entry, `${place}[${index}]`));
}

function oneOrMore(value: unknown, place: string): string[] {
  return Array.isArray(value) ? texts(value, place) : [asText(value, place)];
}

function nonEmpty<T>(list: T[], where: string, key: string): T[] {
  return list.length > 0 ? list : refuse(`${where}.${key}`, 'is empty');
}

function asList(value: unknown, place: string, most = MAX_ENTRIES): unknown[] {
  if (!Array.isArray(value)) refuse(place, 'must be a list');
  return value.length <= most ? value : refuse(place, `has ${value.length} entries; at most ${most}`);
}

function asTable(value: unknown, place: string): Table {
  if (typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)) return value as Table;
  return refuse(place, 'must be a table');
}

function asText(value: unknown, place: string): string {
  if (typeof value !== 'string') refuse(place, 'must be a text');
  return value.length <= MAX_TEXT_CHARS ? value : refuse(place, `is longer than ${MAX_TEXT_CHARS} characters`);
}

function asFlag(value: unknown, place: string): boolean {
  return typeof value === 'boolean' ? value : refuse(place, 'must be true or false');
}

function onlyKeys(table: Table, known: readonly string[], place: string): void {
  for (const key of Object.keys(table)) if (!known.includes(key)) refuse(place, `has an unknown key ${JSON.stringify(key)}`);
}

function refuse(place: string, problem: string): never {
  throw new AgentError('invalid_argument', `${place} ${problem}`, { fields: { field: place } });
}
