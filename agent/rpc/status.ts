// The only place where our codes meet status numbers. gRPC and ttrpc use the same ones (google.rpc.Code).
import { AgentError, type Code, describeError, isAgentError } from '../errors.ts';
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
  out_of_range: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
};

/** Numbers that others send and we have no word for, by the nearest one. */
const FOREIGN: Readonly<Record<number, Code>> = {
  2: 'internal', // UNKNOWN
  10: 'failed_precondition', // ABORTED
  15: 'internal', // DATA_LOSS
  16: 'permission_denied', // UNAUTHENTICATED
};

const CODES: ReadonlyMap<number, Code> = new Map([
  ...Object.entries(FOREIGN).map(([number, code]) => [Number(number), code] as const),
  ...Object.entries(NUMBERS).map(([code, number]) => [number, code as Code] as const),
]);

/** What goes over the wire when a call fails. */
export interface Status {
  readonly code: number;
  readonly message: string;
}

export function codeToNumber(code: Code): number {
  return NUMBERS[code];
}

/** The code of a status number; one that does not exist is `internal`. */
export function numberToCode(number: number): Code {
  return CODES.get(number) ?? 'internal';
}

/**
 * The status a client gets for `error`. Texts of an {@link AgentError} are made for clients; any other error is a fault
 * of ours, and only the log learns what it was.
 */
export function statusOf(error: unknown, method: string, log: Logger): Status {
  if (isAgentError(error)) return { code: NUMBERS[error.code], message: statusText(error.message) };
  log.error('call failed unexpectedly', {
    method,
    error: describeError(error),
    stack: error instanceof Error ? error.stack : undefined,
  });
  return { code: NUMBERS.internal, message: 'internal error' };
}

/** The error a client's caller gets for a status that is not OK. */
export function errorOf(status: Status, method: string): AgentError {
  return new AgentError(numberToCode(status.code), status.message, { fields: { method, status: status.code } });
}

/** Cut to the bound, and free of lone surrogates, which would make the percent-encoding of grpc-message throw. */
function statusText(text: string): string {
  const cut = text.length > MAX_STATUS_TEXT ? `${text.slice(0, MAX_STATUS_TEXT)}…` : text;
  return cut.toWellFormed();
}
