// The guest's wall clock, which a restored or cloned machine has from its template.
import { type Native, native } from '../../native/index.ts';
import { AgentError, fromErrno } from '../errors.ts';

const USEC_PER_SEC = 1_000_000n;

/** @param seconds since 1970 @throws invalid_argument naming the field, internal */
export function setClock(seconds: bigint, microseconds: bigint, door: Pick<Native, 'setTimeOfDay'> = native()): void {
  if (seconds < 0n) throw invalid('Sec', seconds);
  if (microseconds < 0n || microseconds >= USEC_PER_SEC) throw invalid('Usec', microseconds);
  try {
    door.setTimeOfDay(seconds, Number(microseconds));
  } catch (error) {
    throw fromErrno(error, "set the guest's clock");
  }
}

function invalid(field: string, value: bigint): AgentError {
  return new AgentError('invalid_argument', `EINVAL: Invalid argument: ${field} ${value} is out of range`, { fields: { field } });
}
