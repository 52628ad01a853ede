// Spec to JSON and back, 64-bit numbers exact: JSON.stringify refuses bigints and JSON.parse rounds what is above 2^53.
import { AgentError } from '../../errors.ts';
import type { RuntimeSpec } from './types.ts';

/** Deeper than any spec; a bound on the recursion below. */
const MAX_DEPTH = 32;

/**
 * JSON with bigints as plain decimals and keys in the order of the value; the same value gives the same text.
 * Keys whose value is undefined or an object without any key are left out, empty lists and strings are kept.
 * @throws internal for what JSON can't say (NaN, a function, a cycle): a mistake of ours
 */
export function stringifySpec(value: unknown): string {
  const text = write(value, 0);
  if (text === undefined) throw new AgentError('internal', 'nothing to write as JSON');
  return text;
}

function write(value: unknown, depth: number): string | undefined {
  if (depth > MAX_DEPTH) throw new AgentError('internal', `JSON is deeper than ${MAX_DEPTH} levels`);
  switch (typeof value) {
    case 'undefined':
      return undefined;
    case 'bigint':
      return value.toString();
    case 'string':
    case 'boolean':
      return JSON.stringify(value);
    case 'number':
      if (!Number.isFinite(value)) throw new AgentError('internal', `${value} can't be written as JSON`);
      return JSON.stringify(value);
    case 'object':
      return value === null ? 'null' : writeObject(value, depth);
    default:
      throw new AgentError('internal', `a ${typeof value} can't be written as JSON`);
  }
}

function writeObject(value: object, depth: number): string | undefined {
  if (Array.isArray(value)) {
    return `[${value.map((item) => write(item, depth + 1) ?? 'null').join(',')}]`;
  }
  const members: string[] = [];
  for (const [key, member] of Object.entries(value)) {
    const text = write(member, depth + 1);
    if (text !== undefined) members.push(`${JSON.stringify(key)}:${text}`);
  }
  // An empty object says nothing in a runtime spec, except at the top.
  return members.length === 0 && depth > 0 ? undefined : `{${members.join(',')}}`;
}

/** A reviver's third argument: the number as it was written (ECMA-262, JSON.parse source text access). */
interface SourceText {
  source?: string;
}

/** Fields that types.ts declares as bigint; a small one too must come back as one. */
const BIGINT_KEYS: ReadonlySet<string> = new Set(
  (
    'soft hard limit reservation swap kernel kernelTCP swappiness shares quota period realtimeRuntime realtimePeriod ' +
    'rate value valueTwo'
  ).split(' '),
);

/**
 * Reads what {@link stringifySpec} wrote.
 * @throws invalid_argument
 */
export function parseSpec(text: string): RuntimeSpec {
  const reviver = (key: string, value: unknown, context?: SourceText): unknown => {
    if (typeof value !== 'number') return value;
    const source = context?.source ?? String(value);
    const exact = /^-?\d+$/.test(source);
    return exact && (BIGINT_KEYS.has(key) || !Number.isSafeInteger(value)) ? BigInt(source) : value;
  };
  try {
    return JSON.parse(text, reviver) as RuntimeSpec;
  } catch (error) {
    throw new AgentError('invalid_argument', `config.json: ${error instanceof Error ? error.message : error}`, { cause: error });
  }
}
