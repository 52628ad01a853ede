import assert from 'node:assert/strict';
import { type ContainerState, type ContainerVerb, checkAllowed } from '../../../agent/container/state.ts';
import { hasCode } from '../../../agent/errors.ts';

const STATES: ContainerState[] = ['created', 'running', 'paused', 'stopped'];
const ALLOWED: Record<ContainerVerb, ContainerState[]> = {
  start: ['created'],
  exec: ['created', 'running'],
  pause: ['created', 'running'],
  resume: ['paused'],
  update: ['created', 'running', 'paused'],
};

describe('the states of a container', () => {
  for (const [verb, allowed] of Object.entries(ALLOWED) as [ContainerVerb, ContainerState[]][]) {
    for (const state of STATES) {
      if (allowed.includes(state)) it(`allow ${verb} when ${state}`, () => checkAllowed(verb, state, 'c'));
      else {
        it(`refuse ${verb} when ${state}, naming both`, () =>
          assert.throws(
            () => checkAllowed(verb, state, 'c'),
            (error) => hasCode(error, 'failed_precondition') && error.message.includes(state),
          ));
      }
    }
  }

  it('are named in the texts that Kata clients know', () => {
    assert.throws(() => checkAllowed('pause', 'paused', 'c'), /failed to pause container: current status is: paused/);
    assert.throws(() => checkAllowed('resume', 'running', 'c'), /container status is: running, not paused/);
  });
});
