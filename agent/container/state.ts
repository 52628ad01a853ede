// The states of a container and which verb is allowed in which: a pure table.
import { AgentError } from '../errors.ts';

export type ContainerState = 'created' | 'running' | 'paused' | 'stopped';
export type ContainerVerb = 'start' | 'exec' | 'pause' | 'resume' | 'update';

const ALLOWED: Readonly<Record<ContainerVerb, readonly ContainerState[]>> = {
  start: ['created'],
  exec: ['created', 'running'],
  pause: ['created', 'running'],
  resume: ['paused'],
  update: ['created', 'running', 'paused'],
};

/** Texts as Kata's clients know them (kata-agent.md §3.1). */
const REFUSALS: Readonly<Record<ContainerVerb, (state: ContainerState) => string>> = {
  start: (state) => `failed to start container: current status is: ${state}`,
  exec: (state) => `failed to exec in container: current status is: ${state}`,
  pause: (state) => `failed to pause container: current status is: ${state}`,
  resume: (state) => `container status is: ${state}, not paused`,
  update: (state) => `failed to update container: current status is: ${state}`,
};

/** @throws failed_precondition */
export function checkAllowed(verb: ContainerVerb, state: ContainerState, containerId: string): void {
  if (ALLOWED[verb].includes(state)) return;
  throw new AgentError('failed_precondition', REFUSALS[verb](state), { fields: { container: containerId, state } });
}
