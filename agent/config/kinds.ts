// The kinds of value a setting can have, and how each is read from text and from TOML.
// A kind answers undefined for what it can't read; who asked knows the key and makes the error.
import type { LogThreshold } from '../log.ts';

/** One kind of value. `rule` completes the sentence "the value must be ...". */
export interface Kind<T> {
  readonly rule: string;
  /** From the kernel command line or the environment. */
  fromText(text: string): T | undefined;
  /** From a parsed TOML document, whose integers are bigint. */
  fromToml(value: unknown): T | undefined;
}

/** Node's longest timer, 2^31 - 1 ms (24.8 days); a longer duration is taken as this. */
export const LONGEST_MS = 2_147_483_647;

const LOG_LEVELS: Readonly<Record<string, LogThreshold>> = {
  critical: 'critical',
  fatal: 'critical',
  panic: 'critical',
  error: 'error',
  warn: 'warn',
  warning: 'warn',
  info: 'info',
  debug: 'debug',
  trace: 'trace',
};

export const logLevel: Kind<LogThreshold> = {
  rule: 'one of critical, fatal, panic, error, warn, warning, info, debug, trace',
  fromText: (text) => (Object.hasOwn(LOG_LEVELS, text) ? LOG_LEVELS[text] : undefined),
  fromToml: (value) => (typeof value === 'string' ? logLevel.fromText(value) : undefined),
};

/** Kata's lenient boolean: `true`, `false`, else an unsigned 64-bit integer that is not 0; whatever else is false. */
export const truth: Kind<boolean> = {
  rule: 'a boolean',
  fromText: (text) => text === 'true' || (integer(text, 0n, MAX_U64) ?? 0n) !== 0n,
  fromToml: (value) => (typeof value === 'boolean' ? value : undefined),
};

/** The strict boolean that the mem-agent settings take. */
export const strictBoolean: Kind<boolean> = {
  rule: 'true or false',
  fromText: (text) => (text === 'true' ? true : text === 'false' ? false : undefined),
  fromToml: truth.fromToml,
};

const MAX_U64 = (1n << 64n) - 1n;
const MAX_I32 = (1n << 31n) - 1n;

/** A signed 32-bit integer. */
export const int32 = numberBetween(-MAX_I32 - 1n, MAX_I32);
/** A signed 32-bit integer that is not negative. */
export const natural = numberBetween(0n, MAX_I32);
export const uint8 = numberBetween(0n, 255n);
export const uint64 = bigintBetween(0n, MAX_U64);
export const int64 = bigintBetween(-(1n << 63n), (1n << 63n) - 1n);

/** Milliseconds; whole seconds as text, `{secs, nanos}` in TOML. */
export const duration: Kind<number> = {
  rule: 'a whole number of seconds (in TOML a table {secs = ..., nanos = ...})',
  fromText: (text) => {
    const seconds = integer(text, 0n, MAX_U64);
    return seconds === undefined ? undefined : toMs(seconds, 0n);
  },
  fromToml: (value) => {
    if (typeof value !== 'object' || value === null || !('secs' in value) || !('nanos' in value)) return undefined;
    const seconds = inRange(value.secs, 0n, MAX_U64);
    const nanos = inRange(value.nanos, 0n, (1n << 32n) - 1n);
    return seconds === undefined || nanos === undefined ? undefined : toMs(seconds, nanos);
  },
};

export const text: Kind<string> = {
  rule: 'a text that is not empty',
  fromText: (value) => value || undefined,
  fromToml: (value) => (typeof value === 'string' ? value : undefined),
};

/** An absolute URL, in the normal form of the WHATWG URL standard. */
export const url: Kind<string> = {
  rule: 'an absolute URL',
  fromText: (value) => URL.parse(value)?.href,
  fromToml: (value) => (typeof value === 'string' ? (value === '' ? '' : url.fromText(value)) : undefined),
};

export const absolutePath: Kind<string> = {
  rule: 'an absolute path without `..`',
  fromText: (path) => (/^\/[^\0]*$/.test(path) && !path.split('/').includes('..') ? path : undefined),
  fromToml: (value) => (typeof value === 'string' ? absolutePath.fromText(value) : undefined),
};

/** A vsock context id (man 7 vsock), or `any`. */
export const contextId: Kind<number | 'any'> = {
  rule: '`any` or a context id from 0 to 4294967294',
  fromText: (value) => (value === 'any' ? 'any' : contextId.fromToml(integer(value, 0n, MAX_U64))),
  fromToml: (value) => {
    if (value === 'any') return 'any';
    const cid = inRange(value, 0n, 0xfffffffen);
    return cid === undefined ? undefined : Number(cid);
  },
};

/** One of a closed set of words. */
export function oneOf<const W extends string>(...words: W[]): Kind<W> {
  const find = (value: unknown) => words.find((word) => word === value);
  return { rule: `one of ${words.join(', ')}`, fromText: find, fromToml: find };
}

function numberBetween(low: bigint, high: bigint): Kind<number> {
  const wide = bigintBetween(low, high);
  const narrow = (value: bigint | undefined) => (value === undefined ? undefined : Number(value));
  return {
    rule: wide.rule,
    fromText: (value) => narrow(wide.fromText(value)),
    fromToml: (value) => narrow(wide.fromToml(value)),
  };
}

function bigintBetween(low: bigint, high: bigint): Kind<bigint> {
  return {
    rule: `an integer from ${low} to ${high}`,
    fromText: (value) => integer(value, low, high),
    fromToml: (value) => inRange(value, low, high),
  };
}

// 20 digits hold any 64-bit number; a longer text is refused before BigInt() works on it.
function integer(value: string, low: bigint, high: bigint): bigint | undefined {
  const match = /^([+-]?)0*([0-9]{1,20})$/.exec(value);
  if (!match) return undefined;
  const magnitude = BigInt(match[2] ?? '');
  return inRange(match[1] === '-' ? -magnitude : magnitude, low, high);
}

function inRange(value: unknown, low: bigint, high: bigint): bigint | undefined {
  return typeof value === 'bigint' && value >= low && value <= high ? value : undefined;
}

function toMs(seconds: bigint, nanos: bigint): number {
  const ms = Number(seconds) * 1000 + Number(nanos) / 1e6;
  return Math.min(ms, LONGEST_MS);
}
