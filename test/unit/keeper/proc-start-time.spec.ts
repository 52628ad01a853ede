// Reading when a process started out of /proc.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { hasCode } from '../../../agent/errors.ts';
import { parseStartTime, readStartTime, ticksSinceBoot } from '../../../agent/keeper/proc-start-time.ts';

const REST = 'S 1 10 10 0 -1 4194560 103 0 7 0 1 129 0 0 20 0 1 0 4611686018427387904 1572864 171';

describe('the start time of a process', () => {
  it('is field 22, exact, whatever the name of the program', () => {
    for (const name of ['sh', 'a b', ')', '(x) S 1 2', 'new\nline', ') R 1 2 3', '']) {
      assert.equal(parseStartTime(`123 (${name}) ${REST}\n`), 4611686018427387904n);
    }
  });

  it('is refused in a line that has none', () => {
    for (const line of ['', '1 (sh) S 1 2', `1 sh ${REST}`, '1 (sh) S 1 10 10 0 -1 4194560 103 0 7 0 1 129 0 0 20 0 1 0 x 1 2']) {
      assert.throws(
        () => parseStartTime(line),
        (error) => hasCode(error, 'internal'),
      );
    }
  });

  it('lies between the ticks before and after the start', async () => {
    const before = ticksSinceBoot();
    const child = spawn('sleep', ['60']);
    await once(child, 'spawn');
    const after = ticksSinceBoot();
    const start = await readStartTime(child.pid!);
    child.kill();
    assert.ok(start !== undefined && start >= before && start <= after, `${before} ${start} ${after}`);
    const stat = await readFile('/proc/self/stat', 'utf8');
    assert.equal(await readStartTime(process.pid), parseStartTime(stat));
  });

  it('is undefined when there is no such process', async () => {
    const pidMax = Number(await readFile('/proc/sys/kernel/pid_max', 'utf8'));
    assert.equal(await readStartTime(pidMax + 1), undefined);
  });
});
