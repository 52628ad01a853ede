// How a device that is asked for in a way that can't be is refused.
import { AgentError } from '../../errors.ts';

/** @param field its path in the request; an error's field is one of a storage without that word, as for all storages */
export function refuseDevice(field: string, value: string, problem: string): never {
  throw new AgentError('invalid_argument', `${field}: ${JSON.stringify(value.slice(0, 80))} ${problem}`, {
    fields: { field: field.replace(/^storages\[\]\./, '') },
  });
}
