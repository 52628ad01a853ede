import assert from 'node:assert/strict';
import { AgentError, hasCode } from '../../../agent/errors.ts';
import { loadKernelModules } from '../../../agent/guest/modules.ts';

describe('the kernel modules of a sandbox', () => {
  let ran: string[][];
  const run = async (file: string, args: readonly string[]) => {
    ran.push([file, ...args]);
    return { stdout: '', stderr: '' };
  };

  beforeEach(() => {
    ran = [];
  });

  it('are loaded in their order, with their parameters', async () => {
    await loadKernelModules(
      [
        { name: 'a_b-1', parameters: ['x=1', 'y'] },
        { name: 'b', parameters: [] },
      ],
      run,
    );
    assert.deepEqual(ran, [
      ['modprobe', '-v', '--', 'a_b-1', 'x=1', 'y'],
      ['modprobe', '-v', '--', 'b'],
    ]);
  });

  for (const name of ['', '-r', '../x', '/lib/x.ko', 'a b', 'a\0', 'x'.repeat(65)]) {
    it(`may not be called ${JSON.stringify(name.slice(0, 10))}, and then none is loaded`, async () => {
      await assert.rejects(
        loadKernelModules(
          [
            { name: 'ok', parameters: [] },
            { name, parameters: [] },
          ],
          run,
        ),
        (error) => hasCode(error, 'invalid_argument') && error.fields['field'] === 'kernel_modules[1].name',
      );
      assert.deepEqual(ran, []);
    });
  }

  it("fail with modprobe's complaint, and those after the failed one are not tried", async () => {
    const failing = async (file: string, args: readonly string[]) => {
      ran.push([file, ...args]);
      throw new AgentError('internal', 'modprobe: FATAL: Module none not found');
    };
    const modules = ['none', 'next'].map((name) => ({ name, parameters: [] }));
    await assert.rejects(loadKernelModules(modules, failing), /Module none not found/);
    assert.equal(ran.length, 1);
  });
});
