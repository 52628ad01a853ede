import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { hasCode } from '../../../../agent/errors.ts';
import { startChild } from '../../../../client/vm/child.ts';
import { identify, isAlive } from '../../../../client/vm/process-identity.ts';

const sh = (script: string) => ['/bin/sh', '-c', script];

describe('a helper process of a guest', () => {
  it('is ended by SIGTERM, and by SIGKILL when it does not listen', async () => {
    const polite = await startChild('sleep', sh('exec sleep 60'));
    assert.deepEqual(await polite.stop(5_000), { code: null, signal: 'SIGTERM' });
    const deaf = await startChild('deaf', sh('trap "" TERM; echo ready; while :; do sleep 1; done'), 'pipe');
    await once(deaf.stdout!, 'data');
    assert.deepEqual(await deaf.stop(50), { code: null, signal: 'SIGKILL' });
    assert.equal(deaf.running, false);
  });

  it('keeps the end of what it said when it failed', async () => {
    const child = await startChild('failing', sh('head -c 100000 /dev/zero | tr "\\0" . >&2; echo last words >&2; exit 3'));
    assert.deepEqual(await child.ended, { code: 3, signal: null });
    await new Promise((done) => setImmediate(done));
    assert.match(child.stderr(), /last words\n$/);
    assert.ok(child.stderr().length <= 16 << 10);
  });

  it('is in a session of its own, so that Ctrl-C on the launcher is not for it', async () => {
    const child = await startChild('session', ['/bin/sleep', '60']);
    const [, , , session] = readFileSync(`/proc/${child.pid}/stat`, 'latin1')
      .replace(/^.*\) /, '')
      .split(' ');
    assert.equal(Number(session), child.pid);
    await child.stop(1_000);
  });

  it('that does not exist is named in the error', async () => {
    await assert.rejects(
      startChild('nothing', ['/nonexistent/program']),
      (error) => hasCode(error, 'not_found') && error.message.includes('/nonexistent/program'),
    );
  });

  it('dies with its launcher, even one killed by SIGKILL', async () => {
    const script = `import { startChild } from ${JSON.stringify(new URL('../../../../client/vm/child.ts', import.meta.url).href)};
      const child = await startChild('sleep', ['/bin/sleep', '60']);
      console.log(child.pid);
      setInterval(() => {}, 1000);`;
    const launcher = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = (await once(launcher.stdout, 'data')) as [Buffer];
    const child = identify(Number(line.toString()))!;
    launcher.kill('SIGKILL');
    await once(launcher, 'exit');
    for (let waits = 0; isAlive(child); waits++) {
      assert.ok(waits < 200, 'the child outlived its launcher');
      await promisify(execFile)('sleep', ['0.01']);
    }
  });
});
