import assert from 'node:assert/strict';
import { crunError } from '../../../agent/container/crun.ts';

describe("crun's log", () => {
  it('gives the texts of its errors, each entry over several lines', () => {
    const log =
      '{\n"msg": "a warning",\n"level": "warning"\n}\n{\n"msg": "executable file `nope` not found",\n"level": "error",\n"time": "2026"\n}\n';
    assert.equal(crunError('create', log, undefined).message, 'crun create: executable file `nope` not found');
  });

  it('gives them from entries of one line as well', () => {
    const log = '{"msg":"first","level":"error"}\n{"msg":"second","level":"error"}\n';
    assert.equal(crunError('exec', log, undefined).message, 'crun exec: first: second');
  });

  it('gives what is no JSON as it stands', () => {
    assert.equal(crunError('start', 'libfoo.so: cannot open\n', undefined).message, 'crun start: libfoo.so: cannot open');
  });

  it('says how crun ended when the log is empty', () => {
    assert.equal(crunError('delete', '', 9).message, 'crun delete: killed by signal 9');
    assert.equal(crunError('delete', '', undefined).message, 'crun delete: it gave no reason');
  });
});
