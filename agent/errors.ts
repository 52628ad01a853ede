// The one family of errors: a stable code, the thing that failed, and the cause.
// Each protocol turns a code into its own status in a single place (rpc/status.ts).

/** What kind of failure this is; a closed set, the same words in logs and in every protocol. */
export type Code =
  | 'invalid_argument'
  | 'not_found'
  | 'already_exists'
  | 'failed_precondition'
  | 'aborted'
  | 'out_of_range'
  | 'permission_denied'
  | 'deadline_exceeded'
  | 'cancelled'
  | 'resource_exhausted'
  | 'unimplemented'
  | 'unavailable'
  | 'internal'
  | 'data_loss';

/** Values that identify the failing thing: `{container, exec, field, limit, ...}`. */
export type ErrorFields = Readonly<Record<string, string | number | bigint | boolean | undefined>>;

/** What an error may carry beside its code and text. */
export interface AgentErrorOptions {
  cause?: unknown;
  fields?: ErrorFields;
}

const brand = Symbol.for('berth.AgentError');

/** A failure that a client may be told about, text and code. Test it with {@link hasCode}, never by its text. */
export class AgentError extends Error {
  override readonly name = 'AgentError';
  readonly [brand] = true;
  readonly code: Code;
  readonly fields: ErrorFields;

  constructor(code: Code, message: string, options: AgentErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.fields = options.fields ?? {};
  }
}

/** Whether `error` is ours, whichever copy of this module made it. */
export function isAgentError(error: unknown): error is AgentError {
  return typeof error === 'object' && error !== null && brand in error;
}

/** Whether `error` is an {@link AgentError} with this code. */
export function hasCode(error: unknown, code: Code): error is AgentError {
  return isAgentError(error) && error.code === code;
}

/** The errno name (`'ENOENT'`) of a Node or addon system error, else undefined. */
export function errnoOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  const { code } = error;
  return typeof code === 'string' && /^E[A-Z0-9]+$/.test(code) ? code : undefined;
}

export function isErrno(error: unknown, ...names: string[]): boolean {
  const errno = errnoOf(error);
  return errno !== undefined && names.includes(errno);
}

const ERRNO_CODES: Readonly<Record<string, Code>> = {
  ENOENT: 'not_found',
  ESRCH: 'not_found',
  EEXIST: 'already_exists',
  EINVAL: 'invalid_argument',
  ENAMETOOLONG: 'invalid_argument',
  EACCES: 'permission_denied',
  EPERM: 'permission_denied',
  ETIMEDOUT: 'deadline_exceeded',
  EMFILE: 'resource_exhausted',
  ENFILE: 'resource_exhausted',
  ENOMEM: 'resource_exhausted',
  ENOSPC: 'resource_exhausted',
  EAGAIN: 'resource_exhausted',
  ENOSYS: 'unimplemented',
  EOPNOTSUPP: 'unimplemented',
  ECONNREFUSED: 'unavailable',
  ECONNRESET: 'unavailable',
  EPIPE: 'unavailable',
};

/**
 * Wraps a system error with what was being done (`'mount /proc'`); the errno gives the code.
 * A caller that knows a better code throws its own error instead.
 */
export function fromErrno(error: unknown, doing: string, fields?: ErrorFields): AgentError {
  if (isAgentError(error)) return error;
  const errno = errnoOf(error);
  const reason = error instanceof Error ? error.message : String(error);
  const code = errno === undefined ? 'internal' : (ERRNO_CODES[errno] ?? 'internal');
  return new AgentError(code, `${doing}: ${reason}`, { cause: error, fields });
}

const MAX_CHAIN = 8;

/** The message of an error and of each of its causes, outermost first, joined by `: `. */
export function describeError(error: unknown): string {
  const parts: string[] = [];
  // A chain of causes may be a ring.
  for (let at: unknown = error, depth = 0; at !== undefined && at !== null && depth < MAX_CHAIN; depth++) {
    const text = at instanceof Error ? at.message : String(at);
    if (!parts.some((part) => part.includes(text))) parts.push(text);
    at = at instanceof Error ? at.cause : undefined;
  }
  return parts.join(': ');
}
