import assert from 'node:assert/strict';
import { hasCode } from '../../../agent/errors.ts';
import { runTool } from '../../../agent/process/tool.ts';

describe('a helper program', () => {
  it('gives both its outputs, and takes its input', async () => {
    assert.deepEqual(await runTool('sh', ['-c', 'cat; echo err >&2'], { timeoutMs: 5000, input: 'in' }), {
      stdout: 'in',
      stderr: 'err',
    });
  });

  it('reads nothing when it is given nothing', async () => {
    assert.equal((await runTool('cat', [], { timeoutMs: 5000 })).stdout, '');
  });

  it('gives its output byte for byte when asked to', async () => {
    const { stdout } = await runTool('printf', ['\\377\\000\\n'], { timeoutMs: 5000, exact: true });
    assert.deepEqual([...Buffer.from(stdout, 'latin1')], [0xff, 0, 0x0a]);
  });

  it('may not say more than there is room for', async () => {
    await assert.rejects(
      runTool('printf', ['four'], { timeoutMs: 5000, maxOutputChars: 3 }),
      (error) => hasCode(error, 'resource_exhausted') && /says too much/.test(error.message),
    );
  });

  it('fails with its exit code and its complaint', async () => {
    await assert.rejects(
      runTool('sh', ['-c', 'echo "no such thing" >&2; exit 3'], { timeoutMs: 5000 }),
      (error) =>
        hasCode(error, 'internal') && /exit code 3: no such thing$/.test(error.message) && error.fields['exitCode'] === 3,
    );
  });

  it('is told apart when it does not exist', async () => {
    await assert.rejects(runTool('no-such-program', [], { timeoutMs: 5000 }), (error) => hasCode(error, 'not_found'));
  });

  it('is ended when it takes too long', async () => {
    const start = Date.now();
    await assert.rejects(runTool('sleep', ['60'], { timeoutMs: 50 }), (error) => hasCode(error, 'deadline_exceeded'));
    assert.ok(Date.now() - start < 5000);
  });

  it('cannot fill the error with what it says', async () => {
    await assert.rejects(
      runTool('sh', ['-c', 'head -c 100000 /dev/zero | tr "\\0" x >&2; exit 1'], { timeoutMs: 5000 }),
      (error) => error instanceof Error && error.message.length <= 2000,
    );
  });
});
