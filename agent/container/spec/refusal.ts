// How a spec is refused: the field by its path, the offending value quoted and cut.
import { AgentError } from '../../errors.ts';

/** A quoted value is no longer than this in an error. */
const MAX_QUOTED = 120;

/** @throws invalid_argument, always; `field` is a path such as `linux.namespaces[2].path` */
export function refuse(field: string, problem: string): never {
  throw new AgentError('invalid_argument', `${field}: ${problem}`, { fields: { field } });
}

/** The value as a client can recognise it, in quotes and on one line. */
export function quote(value: string): string {
  return JSON.stringify(value.length > MAX_QUOTED ? `${value.slice(0, MAX_QUOTED)}…` : value);
}

/**
 * The string itself. crun is a C program: what follows a NUL would be lost without a word.
 * @throws invalid_argument
 */
export function checkText(value: string, field: string): string {
  if (value.includes('\0')) refuse(field, 'holds a NUL character');
  return value;
}
