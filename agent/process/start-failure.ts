// Why a program could not be started, in one shape whoever tried: the stage that failed and the errno's name.
import { AgentError, type Code } from '../errors.ts';

export type StartStage = 'program' | 'directory' | 'user' | 'resources' | 'runtime';

export interface StartFailure {
  readonly stage: StartStage;
  /** `ENOENT` and the like; '' where it is not known. */
  readonly errnoName: string;
}

const CODES: Readonly<Record<string, Code>> = {
  ENOENT: 'not_found',
  ENOTDIR: 'not_found',
  EACCES: 'permission_denied',
  EPERM: 'permission_denied',
  ENOMEM: 'resource_exhausted',
  EAGAIN: 'resource_exhausted',
  EMFILE: 'resource_exhausted',
  ENFILE: 'resource_exhausted',
};

/** glibc's texts, which is all that crun tells of an errno. */
const TEXTS: ReadonlyArray<readonly [string, string]> = [
  ['No such file or directory', 'ENOENT'],
  ['Permission denied', 'EACCES'],
  ['Operation not permitted', 'EPERM'],
  ['Exec format error', 'ENOEXEC'],
  ['Not a directory', 'ENOTDIR'],
  ['Is a directory', 'EISDIR'],
  ['Too many levels of symbolic links', 'ELOOP'],
  ['File name too long', 'ENAMETOOLONG'],
  ['Argument list too long', 'E2BIG'],
  ['Text file busy', 'ETXTBSY'],
  ['Cannot allocate memory', 'ENOMEM'],
  ['Resource temporarily unavailable', 'EAGAIN'],
  ['Too many open files', 'EMFILE'],
  ['No space left on device', 'ENOSPC'],
  ['Device or resource busy', 'EBUSY'],
  ['Invalid argument', 'EINVAL'],
];

/** crun's words before the errno, by what it was doing. */
const STAGES: ReadonlyArray<readonly [RegExp, StartStage]> = [
  [/\bchdir\b|working directory/i, 'directory'],
  [
    /executable file|open executable|is not a regular file|find executable|\bexec(?:ve)? [`'(]|\bexec container process\b/i,
    'program',
  ],
  [/setres[ug]id|setgroups|capabilit|\bcaps?et\b|no.?new.?priv|rlimit/i, 'user'],
  [/cgroup|\bfork\b|\bclone\b|\bpty\b|console|\bpipe\b/i, 'resources'],
];

/** The failure that an error of crun's tells of. */
export function failureOfRuntime(text: string): StartFailure {
  const stage = STAGES.find(([words]) => words.test(text))?.[1] ?? 'runtime';
  // The last one is the cause.
  let errnoName = '';
  let at = -1;
  for (const [words, name] of TEXTS) {
    const found = text.lastIndexOf(words);
    if (found > at) [at, errnoName] = [found, name];
  }
  return { stage, errnoName };
}

/** What a client is told: the failure travels beside the text. Nothing was started. */
export function startError(failure: StartFailure, message: string, cause?: unknown): AgentError {
  const told = { stage: `STAGE_${failure.stage.toUpperCase()}`, errnoName: failure.errnoName, message };
  return new AgentError(CODES[failure.errnoName] ?? 'failed_precondition', message, {
    cause,
    fields: { stage: failure.stage, errno: failure.errnoName, 'berth-start-failure': JSON.stringify(told) },
  });
}
