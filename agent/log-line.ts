// One log line: a JSON object under Kata's keys. Its tools read a line as a map of strings to strings, so every value is a
// text, numbers included. Never throws, whatever the fields hold; pure but for the clock it is given.
import { describeError, errnoOf, isAgentError } from './errors.ts';
import type { LogFields, LogThreshold } from './log.ts';

/** Longest text of one field and of the message, in UTF-16 units. */
export const MAX_FIELD_CHARS = 4096;
/** Most fields of one line, and most entries shown of one object. */
export const MAX_FIELDS = 64;
const MAX_DEPTH = 6;

/** What all lines of a process share. */
export interface LineOrigin {
  readonly version: string;
  readonly pid: number;
  /** RFC 3339 with nanoseconds, UTC. */
  now(): string;
}

const LEVELS: Readonly<Record<LogThreshold, string>> = {
  critical: 'CRIT',
  error: 'ERRO',
  warn: 'WARN',
  info: 'INFO',
  debug: 'DEBG',
  trace: 'TRCE',
};

const RESERVED: ReadonlySet<string> = new Set(['msg', 'level', 'ts', 'version', 'pid', 'name', 'source']);

/** The line without its newline. A field named like one of Kata's keys becomes `field_<name>`, but `subsystem` sets that key. */
export function formatLine(origin: LineOrigin, level: LogThreshold, message: string, fields: LogFields): string {
  const line: Record<string, string> = {
    msg: clip(message),
    level: LEVELS[level],
    ts: origin.now(),
    version: origin.version,
    subsystem: 'root',
    pid: String(origin.pid),
    name: 'kata-agent',
    source: 'agent',
  };
  let left = MAX_FIELDS;
  for (const key of Object.keys(fields)) {
    const value = read(fields, key);
    if (value === undefined) continue;
    if (left-- === 0) break;
    if (key === 'subsystem') line.subsystem = toText(value);
    else addField(line, RESERVED.has(key) ? `field_${key}` : clip(key), value);
  }
  return escapeControls(JSON.stringify(line));
}

// Besides its chain of messages an error gives its code, and its stack where nothing else tells what happened.
function addField(line: Record<string, string>, key: string, value: unknown): void {
  line[key] = toText(value);
  if (!(value instanceof Error)) return;
  const code = isAgentError(value) ? value.code : errnoOf(value);
  if (code !== undefined) line[`${key}.code`] = code;
  const origin = rootCause(value);
  if (!isAgentError(origin) && errnoOf(origin) === undefined && typeof origin.stack === 'string') {
    line[`${key}.stack`] = clip(origin.stack);
  }
}

function rootCause(error: Error): Error {
  let at = error;
  for (let depth = 0; depth < 8 && at.cause instanceof Error; depth++) at = at.cause;
  return at;
}

function toText(value: unknown): string {
  try {
    if (typeof value === 'string') return clip(value);
    if (typeof value === 'object' && value !== null) return clip(objectText(value));
    return clip(String(value));
  } catch {
    return '[unreadable]';
  }
}

function objectText(value: object): string {
  if (value instanceof Error) return describeError(value);
  return JSON.stringify(plain(value, []));
}

// A copy that JSON can take: bounded in depth and width, no cycle, no call of toJSON, 64-bit numbers as exact decimals.
function plain(value: unknown, above: readonly object[]): unknown {
  if (typeof value === 'bigint' || typeof value === 'symbol') return String(value);
  if (typeof value === 'string') return clip(value);
  if (typeof value === 'function') return '[function]';
  if (typeof value !== 'object' || value === null) return value;
  if (above.includes(value)) return '[circular]';
  if (above.length >= MAX_DEPTH) return '[deep]';
  if (value instanceof Error) return describeError(value);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'invalid date' : value.toISOString();
  // Bytes may be a user's data; a log tells only how many there were.
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  const inside = [...above, value];
  if (value instanceof Map) return plain(Object.fromEntries([...value].map(([key, entry]) => [String(key), entry])), inside);
  if (value instanceof Set) return plain([...value], inside);
  if (Array.isArray(value)) {
    const shown = value.slice(0, MAX_FIELDS).map((entry) => plain(entry, inside));
    return value.length > MAX_FIELDS ? [...shown, `[${value.length - MAX_FIELDS} more]`] : shown;
  }
  const keys = Object.keys(value);
  const copy: Record<string, unknown> = Object.create(null);
  for (const key of keys.slice(0, MAX_FIELDS)) copy[clip(key)] = plain(read(value, key), inside);
  if (keys.length > MAX_FIELDS) copy['...'] = `[${keys.length - MAX_FIELDS} more]`;
  return copy;
}

function read(object: object, key: string): unknown {
  try {
    return (object as Record<string, unknown>)[key];
  } catch {
    return '[unreadable]';
  }
}

function clip(text: string): string {
  return text.length <= MAX_FIELD_CHARS ? text : `${text.slice(0, MAX_FIELD_CHARS)}[${text.length - MAX_FIELD_CHARS} more]`;
}

// JSON leaves DEL, the C1 controls and the line separators as they are; a terminal that shows the console obeys some of them.
function escapeControls(json: string): string {
  return json.replace(/[\u007f-\u009f\u2028\u2029]/g, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
