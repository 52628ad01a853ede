// The only place where our codes meet status numbers. gRPC and ttrpc use the same ones (google.rpc.Code).
import { AgentError, type Code, describeError, type ErrorFields, errnoOf, isAgentError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { MAX_STATUS_TEXT } from './limits.ts';

export const OK = 0;

const NUMBERS: Readonly<Record<Code, number>> = {
  cancelled: 1,
  invalid_argument: 3,
  deadline_exceeded: 4,
  not_found: 5,
  already_exists: 6,
  permission_denied: 7,
  resource_exhausted: 8,
  failed_precondition: 9,
  aborted: 10,
  out_of_range: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  data_loss: 15,
};

/** Numbers that others send and we have no word for, by the nearest one. */
const FOREIGN: Readonly<Record<number, Code>> = {
  2: 'internal', // UNKNOWN
  16: 'permission_denied', // UNAUTHENTICATED
};

const CODES: ReadonlyMap<number, Code> = new Map([
  ...Object.entries(FOREIGN).map(([number, code]) => [Number(number), code] as const),
  ...Object.entries(NUMBERS).map(([code, number]) => [number, code as Code] as const),
]);

/** What the guest may run out of anywhere, with the workload at work beside us: no fault of ours, and no secret. */
const RAN_OUT: ReadonlyMap<string, string> = new Map([
  ['ENOSPC', 'space on a file system'],
  ['EDQUOT', 'quota on a file system'],
  ['EMFILE', 'open files'],
  ['ENFILE', 'open files'],
  ['ENOMEM', 'memory'],
  ['EAGAIN', 'processes'],
]);

/** What goes over the wire when a call fails. */
export interface Status {
  readonly code: number;
  readonly message: string;
  /** Trailing metadata, where the protocol has such: gRPC. */
  readonly trailers?: Readonly<Record<string, string>>;
}

export function codeToNumber(code: Code): number {
  return NUMBERS[code];
}

/** The code of a status number; one that does not exist is `internal`. */
export function numberToCode(number: number): Code {
  return CODES.get(number) ?? 'internal';
}

/**
 * The status a client gets for `error`. Texts of an {@link AgentError} are made for clients; that something has run out in
 * the guest is said too; any other error is a fault of ours, and only the log learns what it was.
 */
export function statusOf(error: unknown, method: string, log: Logger): Status {
  if (isAgentError(error)) {
    return { code: NUMBERS[error.code], message: statusText(error.message), trailers: trailersOf(error.fields) };
  }
  log.error('call failed unexpectedly', {
    method,
    error: describeError(error),
    stack: error instanceof Error ? error.stack : undefined,
  });
  const errno = errnoOf(error) ?? '';
  const ranOut = RAN_OUT.get(errno);
  if (ranOut !== undefined) return { code: NUMBERS.resource_exhausted, message: `the guest has run out of ${ranOut} (${errno})` };
  return { code: NUMBERS.internal, message: 'internal error' };
}

/** The error a client's caller gets for a status that is not OK. */
export function errorOf(status: Status, method: string): AgentError {
  const told = Object.entries(status.trailers ?? {}).map(([key, value]) => [FIELD_NAMES.get(key) ?? key, value] as const);
  return new AgentError(numberToCode(status.code), status.message, {
    fields: { ...Object.fromEntries(told), method, status: status.code },
  });
}

/** Fields that clients are told by name: a limit that was hit, the field of the request that was wrong. */
const TOLD_FIELDS: Readonly<Record<string, string>> = { limit: 'berth-limit', field: 'berth-field' };
const FIELD_NAMES: ReadonlyMap<string, string> = new Map(Object.entries(TOLD_FIELDS).map(([name, key]) => [key, name]));
/** A field of such a name goes out as it is. */
const TRAILER = /^berth-[a-z-]+$/;

function trailersOf(fields: ErrorFields): Record<string, string> {
  const trailers: Record<string, string> = {};
  for (const [name, value] of Object.entries(fields)) {
    const key = TRAILER.test(name) ? name : Object.hasOwn(TOLD_FIELDS, name) ? TOLD_FIELDS[name] : undefined;
    if (key !== undefined && value !== undefined) trailers[key] = headerText(String(value));
  }
  return trailers;
}

/** Headers are ASCII; within JSON, where texts are, the escape says the same. */
function headerText(text: string): string {
  return text
    .slice(0, MAX_STATUS_TEXT)
    .replace(/[^\x20-\x7e]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Cut to the bound, and free of lone surrogates, which would make the percent-encoding of grpc-message throw. */
function statusText(text: string): string {
  const cut = text.length > MAX_STATUS_TEXT ? `${text.slice(0, MAX_STATUS_TEXT)}…` : text;
  return cut.toWellFormed();
}
