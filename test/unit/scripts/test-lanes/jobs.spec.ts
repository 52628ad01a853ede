import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { LONG_FILES, planRuns } from '../../../../scripts/test-lanes/jobs.ts';

const VM = join(import.meta.dirname, '../../../vm');

describe('runs of mocha for the tests on guests', () => {
  it('begin with the files that take longest, each alone, and take the others a few at a time', () => {
    const names = ['a', 'slow', 'b', 'c', 'slowest', 'd', 'e', 'f'];
    assert.deepEqual(planRuns(names, { slow: 10, slowest: 20 }), [['slowest'], ['slow'], ['a', 'b', 'c', 'd', 'e'], ['f']]);
  });

  it('take every file of the folder once', () => {
    const names = readdirSync(VM).filter((name) => name.endsWith('.spec.ts'));
    assert.deepEqual(planRuns(names).flat().toSorted(), names.toSorted());
  });

  it('know no file as long that is not there', () => {
    const names = readdirSync(VM);
    assert.deepEqual(
      Object.keys(LONG_FILES).filter((name) => !names.includes(name)),
      [],
    );
  });
});
