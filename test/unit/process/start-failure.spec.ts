// What crun says of a start that failed, as stage and errno.
import assert from 'node:assert/strict';
import { failureOfRuntime, startError } from '../../../agent/process/start-failure.ts';

describe('a failed start', () => {
  for (const [text, stage, errnoName] of [
    ['crun exec: executable file `nope` not found in $PATH: No such file or directory', 'program', 'ENOENT'],
    ['crun exec: open executable: Permission denied', 'program', 'EACCES'],
    ['crun exec: exec container process `/x`: Exec format error', 'program', 'ENOEXEC'],
    ['crun exec: the path `/etc` is not a regular file: Operation not permitted', 'program', 'EPERM'],
    ['crun exec: chdir: Not a directory', 'directory', 'ENOTDIR'],
    ['crun exec: cannot setresuid to `5`: Operation not permitted', 'user', 'EPERM'],
    ['crun exec: write to `/sys/fs/cgroup/x/cgroup.procs`: Device or resource busy', 'resources', 'EBUSY'],
    ['crun exec: it gave no reason', 'runtime', ''],
    ['crun exec: open `No such file or directory`: Permission denied', 'runtime', 'EACCES'],
  ] as const) {
    it(`is ${stage} ${errnoName} when crun says ${JSON.stringify(text)}`, () => {
      assert.deepEqual(failureOfRuntime(text), { stage, errnoName });
    });
  }

  it('has the code of its errno, and carries itself', () => {
    const error = startError({ stage: 'program', errnoName: 'ENOENT' }, 'run "x": ENOENT');
    assert.equal(error.code, 'not_found');
    assert.deepEqual(JSON.parse(String(error.fields['berth-start-failure'])), {
      stage: 'STAGE_PROGRAM',
      errnoName: 'ENOENT',
      message: 'run "x": ENOENT',
    });
    assert.equal(startError({ stage: 'runtime', errnoName: '' }, 'x').code, 'failed_precondition');
  });
});
