// What went wrong with a file, as clients are told: the code says what can be done about it, the errno is named.
import { AgentError, type Code, errnoOf, isAgentError } from '../../errors.ts';

const CODES: Readonly<Record<string, Code>> = {
  ENOENT: 'not_found',
  EEXIST: 'already_exists',
  EINVAL: 'invalid_argument',
  ENAMETOOLONG: 'invalid_argument',
  EACCES: 'permission_denied',
  EPERM: 'permission_denied',
  EMFILE: 'resource_exhausted',
  ENFILE: 'resource_exhausted',
  ENOMEM: 'resource_exhausted',
  ENOSPC: 'resource_exhausted',
  EDQUOT: 'resource_exhausted',
  EFBIG: 'resource_exhausted',
  EMLINK: 'resource_exhausted',
  EOPNOTSUPP: 'unimplemented',
  EIO: 'internal',
};

const REASONS: Readonly<Record<string, string>> = {
  ELOOP: 'a link on the way is none of the file system, or leads in a circle',
  EXDEV: 'it leads out, or to another file system',
  EAGAIN: 'it has nothing to read now',
};

/** @param doing `read`, `write to` @param path as asked for */
export function fileError(error: unknown, doing: string, path: string): AgentError {
  if (isAgentError(error)) return error;
  const errno = errnoOf(error);
  if (errno === undefined) return new AgentError('internal', `${doing} ${quoted(path)} failed`, { cause: error });
  const reason = REASONS[errno] ?? (error instanceof Error ? error.message.split(',', 1)[0] : errno);
  // What is left of them says that the tree is not as the request takes it to be: ENOTDIR, EISDIR, ENOTEMPTY, EBUSY, EROFS.
  return new AgentError(CODES[errno] ?? 'failed_precondition', `${doing} ${quoted(path)}: ${reason}`, {
    cause: error,
    fields: { field: 'path', path, 'berth-errno': errno },
  });
}

export function quoted(path: string): string {
  return JSON.stringify(path.length > 200 ? `${path.slice(0, 200)}...` : path);
}
