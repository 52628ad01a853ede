import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { hasCode } from '../../../../agent/errors.ts';
import { hostScript, runInEmulatedHost } from '../../../../client/vm/emulated-host.ts';

/** Runs the script here, its output on stdout and not in the shared folder. */
async function run(command: readonly string[], env: Record<string, string> = {}): Promise<string> {
  const script = hostScript(command, { env }).replace('exec >> /run/work/output 2>&1', '');
  return (await promisify(execFile)('/bin/sh', ['-c', script])).stdout;
}

describe('the script that runs in the emulated host', () => {
  it('gives the command its words and variables as they are, whatever they hold', async () => {
    const words = fc.array(
      fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll('\0', '')),
      { maxLength: 5 },
    );
    await fc.assert(
      fc.asyncProperty(
        words,
        fc.string().map((text) => text.replaceAll('\0', '')),
        async (given, value) => {
          const print = 'process.stdout.write(JSON.stringify([process.argv.slice(1), process.env.X]))';
          const output = await run([process.execPath, '-e', print, '--', ...given], { X: value });
          assert.deepEqual(JSON.parse(output), [given, value]);
        },
      ),
      { numRuns: 20 },
    );
  });

  it('starts where it is told, and chooses the direct way under KVM for whoever asks', async () => {
    const script = hostScript(['sh', '-c', 'pwd; echo $BERTH_VM_WAY $BERTH_VM_ACCEL'], { cwd: '/usr' });
    const { stdout } = await promisify(execFile)('/bin/sh', ['-c', script.replace(/^exec.*\n/, '')]);
    assert.equal(stdout, '/usr\ndirect kvm\n');
  });

  it("refuses a variable's name that the shell would take for code", () => {
    assert.throws(
      () => hostScript(['true'], { env: { 'a;b': '' } }),
      (error) => hasCode(error, 'invalid_argument'),
    );
  });

  it('is not written for no command at all', async () => {
    await assert.rejects(runInEmulatedHost([]), (error) => hasCode(error, 'invalid_argument'));
  });
});
