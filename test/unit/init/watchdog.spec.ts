// berth-init ends an agent whose event loop stands still or that is stopped, and no other.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { childrenOf } from './processes.ts';
import { BUILDS, binaryOf } from './supervised.ts';

const AGENT = join(import.meta.dirname, 'petting-agent.ts');

for (const build of BUILDS) {
  describe(`the watchdog of ${build.name}`, function () {
    this.timeout(60_000);
    let folder: string;
    let init: ChildProcess;
    let stderr: string;

    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), 'berth-watchdog-'));
    });
    afterEach(async () => {
      init.kill('SIGCONT');
      init.kill('SIGTERM');
      if (init.exitCode === null && init.signalCode === null) await once(init, 'exit');
      await rm(folder, { recursive: true });
      assert.doesNotMatch(stderr, /Sanitizer|runtime error/);
    });

    async function start(fate: string, limitMs: number, nodeOptions: string[] = []): Promise<void> {
      const node = [process.execPath, '--disable-warning=ExperimentalWarning', ...nodeOptions];
      const args = ['--watchdog', `${limitMs}`, '--', ...node, AGENT, fate, join(folder, 'lives')];
      init = spawn(await binaryOf(build), args, { stdio: ['ignore', 'ignore', 'pipe'] });
      stderr = '';
      init.stderr!.on('data', (chunk: Buffer) => {
        stderr += chunk;
      });
      await untilLives(1);
    }
    const lives = async () => (await readFile(join(folder, 'lives'), 'utf8').catch(() => '')).split('\n').length - 1;
    async function untilLives(count: number): Promise<void> {
      while ((await lives()) < count) await sleep(20);
    }

    it('ends an agent whose event loop is blocked, and starts the next', async () => {
      await start('blocks', 1500);
      await untilLives(2);
      assert.match(stderr, /agent generation 1 has been silent for 1500 ms; aborting it/);
      assert.match(stderr, /agent generation 1 was killed by signal 6/);
      assert.doesNotMatch(stderr, /killing it/);
      await sleep(2000);
      assert.equal(await lives(), 2, 'the next one pets, and is left alone');
    });

    it('ends one that is stopped, which no SIGABRT reaches', async () => {
      await start('stops', 1000);
      await untilLives(2);
      assert.match(stderr, /agent generation 1 does not end by SIGABRT; killing it/);
      assert.match(stderr, /agent generation 1 was killed by signal 9/);
    });

    if (build.sanitize) return;

    it('ends one that has given up its connection', async () => {
      await start('disconnects', 1000);
      await untilLives(2);
      assert.match(stderr, /agent generation 1 was killed by signal 6/);
    });

    it('leaves one alone that works, and everything when it is off', async () => {
      await start('works', 1500);
      await sleep(2000);
      assert.equal(await lives(), 1);
      init.kill('SIGTERM');
      await once(init, 'exit');
      await start('blocks', 0);
      await sleep(1500);
      const [agent] = await childrenOf(init.pid!);
      process.kill(agent!.pid, 'SIGKILL');
      assert.doesNotMatch(stderr, /silent/);
    });

    it('takes a time in which nothing ran for no silence: the machine was suspended', async () => {
      await start('works', 1200);
      const [agent] = await childrenOf(init.pid!);
      init.kill('SIGSTOP');
      process.kill(agent!.pid, 'SIGSTOP');
      await sleep(2500);
      init.kill('SIGCONT');
      await sleep(100); // the agent is slower to come back
      process.kill(agent!.pid, 'SIGCONT');
      await sleep(500);
      assert.equal(await lives(), 1);
      assert.equal(stderr, '');
    });

    it('starts the next agent after one that has run out of heap', async () => {
      await start('fills its heap', 30_000, ['--max-old-space-size=24']);
      await untilLives(2);
      assert.match(stderr, /agent generation 1 (was killed by signal|exited with)/);
    });
  });
}
