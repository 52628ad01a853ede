// Signal names and numbers as `kill -l` and docker know them. The guest is Linux, so its numbers are this machine's,
// except that real-time signals have no name in Node and are spelled RTMIN+n here (man 7 signal).
import { constants } from 'node:os';
import { AgentError } from '../agent/errors.ts';

/** Whose target is the whole of a process, or of a container, unless told otherwise. */
export const SIGKILL: number = constants.signals.SIGKILL;
/** glibc's SIGRTMIN; 32 and 33 are its own. */
const RTMIN = 34;
const RTMAX = 64;

/**
 * The number of a signal given as `9`, `KILL`, `SIGKILL`, `RTMIN+3` or `RTMAX-1`, in either case.
 * @throws AgentError invalid_argument
 */
export function signalNumber(text: string): number {
  const name = text.trim().toUpperCase().replace(/^SIG/, '');
  if (/^\d{1,3}$/.test(name)) {
    const number = Number(name);
    if (number <= RTMAX) return number;
  }
  const realtime = /^RT(MIN|MAX)(?:([+-])(\d{1,2}))?$/.exec(name);
  if (realtime !== null) {
    const offset = Number(`${realtime[2] ?? '+'}${realtime[3] ?? '0'}`);
    const number = (realtime[1] === 'MIN' ? RTMIN : RTMAX) + offset;
    if (number >= RTMIN && number <= RTMAX) return number;
  }
  const named = (constants.signals as Readonly<Record<string, number>>)[`SIG${name}`];
  if (named !== undefined) return named;
  throw new AgentError('invalid_argument', `invalid signal '${text}': give a name such as TERM or a number from 0 to ${RTMAX}`, {
    fields: { field: 'signal' },
  });
}

/** `SIGKILL` for 9; `signal 70` for what has no name. */
export function signalName(number: number): string {
  for (const [name, value] of Object.entries(constants.signals)) if (value === number) return name;
  if (number >= RTMIN && number <= RTMAX) return `SIGRTMIN+${number - RTMIN}`;
  return `signal ${number}`;
}
