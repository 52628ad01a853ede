// How a command line names what runs: CONTAINER for its init process, CONTAINER/PROCESS for another one in it, /PROCESS for one of the guest's own.
import { AgentError } from '../../agent/errors.ts';
import type { AttachOptions } from '../api/attachment.ts';
import type { Guest } from '../api/guest.ts';
import type { Process, ProcessRef } from '../api/process.ts';

/** @throws AgentError invalid_argument */
export function parseProcessName(text: string): ProcessRef {
  const [containerId = '', processId = '', ...rest] = text.split('/');
  if (rest.length > 0 || (containerId === '' && processId === '')) {
    throw new AgentError('invalid_argument', `invalid name '${text}': give CONTAINER, CONTAINER/PROCESS or /PROCESS`, {
      fields: { field: 'process' },
    });
  }
  return { containerId, processId };
}

/** As {@link parseProcessName} reads it. */
export function nameOf({ containerId, processId }: ProcessRef): string {
  return processId === '' ? containerId : `${containerId}/${processId}`;
}

/** @throws AgentError not_found */
export async function processNamed(guest: Guest, name: string, options: AttachOptions = {}): Promise<Process> {
  const { containerId, processId } = parseProcessName(name);
  const place = containerId === '' ? guest : guest.container(containerId);
  return await place.attach(processId, options);
}

/** The one argument of a verb that takes one. @throws AgentError invalid_argument */
export function onlyName([name, ...rest]: readonly string[]): string {
  if (name === undefined) throw new AgentError('invalid_argument', 'give a container');
  if (rest.length > 0) throw new AgentError('invalid_argument', `'${rest[0]}' is too much: give one container`);
  return name;
}

/** The arguments of a verb that takes some. @throws AgentError invalid_argument */
export function namesOf(positionals: readonly string[]): readonly string[] {
  if (positionals.length === 0) throw new AgentError('invalid_argument', 'give a container');
  return positionals;
}
