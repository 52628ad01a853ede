import assert from 'node:assert/strict';
import { containerTable } from '../../../../client/cli/ps.ts';

describe('the table of containers', () => {
  it('shows each state as docker ps does', () => {
    const now = 1_000_000;
    const base = { pid: 7, createdAt: now - 120_000, startedAt: now - 61_000, execs: [] };
    const table = containerTable(
      [
        { ...base, id: 'one', state: 'running', args: ['sh', '-c', 'echo "hi"'] },
        { ...base, id: 'two', state: 'paused', args: ['sleep', '9'] },
        { ...base, id: 'three', state: 'stopped', pid: 0, exitStatus: 137, args: ['x'.repeat(60)] },
        { id: 'four', state: 'created', pid: 9, createdAt: now, execs: [], args: ['a'] },
      ],
      now,
    );
    assert.deepEqual(table.split('\n'), [
      'CONTAINER   COMMAND                                    CREATED                  STATUS                 PID',
      'one         sh -c "echo \\"hi\\""                        2 minutes ago            Up 1 minute              7',
      'two         sleep 9                                    2 minutes ago            Up 1 minute (Paused)     7',
      `three       ${'x'.repeat(37)}...   2 minutes ago            Exited (137)             -`,
      'four        a                                          less than a second ago   Created                  9',
      '',
    ]);
  });
});
