// Which end of a copy is where. Pure.
import { AgentError } from '../../agent/errors.ts';

export interface CopyEnd {
  readonly direction: 'in' | 'out';
  /** A path of this machine, or `-`. */
  readonly here: string;
  /** Empty for the guest itself. */
  readonly there: { readonly name: string; readonly path: string };
}

/** As docker tells them apart: what begins with `/` or `.` is a path of this machine, whatever colons it has. */
const THERE = /^([A-Za-z0-9][A-Za-z0-9_.-]*)?:(\/.*)$/s;

/** @throws AgentError invalid_argument with one line for the user */
export function parseCopyEnds(positionals: readonly string[]): CopyEnd {
  const [source, destination, ...rest] = positionals;
  if (source === undefined || destination === undefined || rest.length > 0) throw wrong('give a source and a destination');
  const from = thereOf(source);
  const to = thereOf(destination);
  if (from !== undefined && to !== undefined) throw wrong('one of source and destination must be on this machine');
  if (from !== undefined) return { direction: 'out', here: destination, there: from };
  if (to !== undefined) return { direction: 'in', here: source, there: to };
  throw wrong('one of source and destination must be CONTAINER:/PATH, or :/PATH for the guest');
}

function thereOf(text: string): CopyEnd['there'] | undefined {
  const match = THERE.exec(text);
  return match === null ? undefined : { name: match[1] ?? '', path: match[2]! };
}

function wrong(what: string): AgentError {
  return new AgentError('invalid_argument', what);
}
