// The error of a call that must refuse its input.
import assert from 'node:assert/strict';
import { type AgentError, hasCode } from '../../../agent/errors.ts';

export function refusal(call: () => unknown): AgentError {
  try {
    call();
  } catch (error) {
    assert.ok(hasCode(error, 'invalid_argument'), `not an invalid_argument: ${String(error)}`);
    return error;
  }
  return assert.fail('nothing was refused');
}
