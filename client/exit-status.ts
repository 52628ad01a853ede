// Exit statuses as a shell and docker give them: the process's own, 128 + signal, 127 and 126 where the program can't be
// run, and 125 where Berth itself failed.
import { describeError, hasCode } from '../agent/errors.ts';

/** Berth, the VM or the agent failed; nothing is known of the program. */
export const EXIT_BERTH = 125;
/** The program is there and can't be executed. */
export const EXIT_NOT_EXECUTABLE = 126;
/** The program is not there. */
export const EXIT_NOT_FOUND = 127;

/** The status for death by a signal. */
export function exitOfSignal(signal: number): number {
  return 128 + signal;
}

const MISSING = /not found|no such file or directory|\bENOENT\b/i;
const REFUSED =
  /permission denied|\bEACCES\b|not executable|not a regular file|exec format error|\bENOEXEC\b|is a directory|\bEISDIR\b/i;
/** The runtime was at the program, not at a mount or a namespace, when it failed. */
const OF_PROGRAM = /\bexecutable\b|not a regular file|\bexec container process\b|\bexecve?\b/i;

/**
 * The status for an error of create, start or exec. The agent has one code for many failures and Kata's protocol has no
 * field for this, so it goes by the runtime's words, as docker does.
 */
export function exitOfStartError(error: unknown): number {
  const text = describeError(error);
  // `crun exec: ` names the runtime's own verb.
  if (hasCode(error, 'unavailable') || !OF_PROGRAM.test(text.replace(/\bcrun exec\b/g, ''))) return EXIT_BERTH;
  if (REFUSED.test(text)) return EXIT_NOT_EXECUTABLE;
  if (MISSING.test(text)) return EXIT_NOT_FOUND;
  return EXIT_BERTH;
}
