import assert from 'node:assert/strict';
import { failuresOf, startRun } from '../../../../scripts/test-lanes/lane.ts';

const program = (text: string) => startRun('a run', ['-e', text], import.meta.dirname).done;

describe('a run of mocha in a lane', () => {
  it('gives all it said, and passes with the status 0', async () => {
    const { passed, output, title } = await program('console.log("out"); console.error("err")');
    assert.deepEqual([passed, output.split('\n').toSorted(), title], [true, ['', 'err', 'out'], 'a run']);
  });

  for (const [title, text] of [
    ['another status', 'process.exit(3)'],
    ['a signal', 'process.kill(process.pid, "SIGKILL")'],
  ]) {
    it(`fails with ${title}`, async () => assert.equal((await program(text!)).passed, false));
  }

  it('has no colours, whatever was asked for: tests read what programs print', async () => {
    const before = process.env['FORCE_COLOR'];
    process.env['FORCE_COLOR'] = '1';
    try {
      assert.equal((await program('console.log(3)')).output, '3\n');
    } finally {
      if (before === undefined) delete process.env['FORCE_COLOR'];
      else process.env['FORCE_COLOR'] = before;
    }
  });

  it('that can not be started fails and says why', async () => {
    const { passed, output } = await startRun('a run', [], '/no/such/directory').done;
    assert.equal(passed, false);
    assert.match(output, /ENOENT/);
  });

  it('has its failures at the end of what it said', () => {
    assert.equal(failuresOf('  ✔ works\n\n  3 passing (2s)\n  1 failing\n\n  1) breaks\n'), '  1 failing\n\n  1) breaks\n');
    assert.equal(failuresOf('could not start\n'), 'could not start\n');
  });
});
