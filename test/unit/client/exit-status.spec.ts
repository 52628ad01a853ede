import assert from 'node:assert/strict';
import { AgentError } from '../../../agent/errors.ts';
import { exitOfSignal, exitOfStartError } from '../../../client/exit-status.ts';

describe('exit statuses', () => {
  const cases: [string, number][] = [
    ['crun create: executable file `nope` not found in $PATH: No such file or directory', 127],
    ['crun exec: executable file `/nope` not found: No such file or directory', 127],
    ['crun create: open executable: Permission denied', 126],
    ['crun start: exec container process `/etc/passwd`: Exec format error', 126],
    ['crun create: the path `/etc/passwd` exists but it is not executable: Operation not permitted', 126],
    ['crun exec: the path `/etc` is not a regular file: Operation not permitted', 126],
    ['crun exec: mount `proc` to `/proc`: Permission denied', 125],
    ['crun create: open `/dev/vdz`: No such file or directory', 125],
    ['container `x` not found', 125],
  ];
  for (const [text, status] of cases) {
    it(`is ${status} for ${text}`, () => assert.equal(exitOfStartError(new AgentError('internal', text)), status));
  }

  it('is 125 when the agent is gone, whatever the text', () => {
    assert.equal(exitOfStartError(new AgentError('unavailable', 'executable file not found')), 125);
  });

  it('is 128 and the number for a signal', () => assert.equal(exitOfSignal(9), 137));
});
