// An agent that dies is started again, and what it had asked for is not lost with it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode } from '../../../agent/errors.ts';
import { readStartTime } from '../../../agent/keeper/proc-start-time.ts';
import { encodeTrack } from '../../../agent/keeper/wire.ts';
import { untilDead, untilGone } from './processes.ts';
import { RawKeeper } from './raw-keeper.ts';
import { BUILDS, binaryOf, Supervised } from './supervised.ts';

for (const build of BUILDS) {
  describe(`${build.name} when the agent dies`, function () {
    this.timeout(60_000);
    let binary: string;
    let init: Supervised;

    before(async () => {
      binary = await binaryOf(build);
    });
    afterEach(() => init?.stop());

    it('starts the next generation at once, with a socket of its own', async () => {
      init = await Supervised.start(binary);
      const first = await init.agent();
      const started = performance.now();
      first.kill();
      const second = await init.agent();
      assert.ok(performance.now() - started < 2000);
      assert.deepEqual([first.hello.generation, second.hello.generation], ['1', '2']);
      assert.equal(second.hello.uptimeMs, first.hello.uptimeMs);
      assert.equal(second.keeper.generation, 2);
      assert.match(init.stderr, /agent generation 1 was killed by signal 9 after \d+ ms; restart in 0 ms/);
    });

    it('tells the next agent of every exit that the last one had asked for, not acknowledged or not yet happened', async () => {
      init = await Supervised.start(binary);
      const first = await init.agent();
      const raw = new RawKeeper(first.keeperFd);
      const running = await first.orphan('sleep 1; exit 21');
      const ended = await first.orphan('exit 22');
      const startTimes = await Promise.all([running, ended].map(readStartTime));
      raw.trySend(encodeTrack(1, running, startTimes[0], 0n));
      await untilGone(ended);
      raw.trySend(encodeTrack(2, ended, startTimes[1], 0n));
      for (let message = await raw.receive(); message?.type !== 'exit'; message = await raw.receive())
        assert.ok(message !== undefined);
      // Told, but killed before it could acknowledge.
      first.kill();

      const second = await init.agent();
      const [a, b] = await Promise.all([running, ended].map((pid, i) => second.keeper.exitOf(pid, startTimes[i])));
      assert.deepEqual([a!.code, b!.code], [21, 22]);
    });

    it('keeps exits of the time without an agent', async () => {
      init = await Supervised.start(binary);
      const first = await init.agent();
      const hold = join(init.directory, 'hold');
      const pid = await first.orphan(`mkfifo ${hold}; read -r x < ${hold}; exit 23`);
      const startTime = await readStartTime(pid);
      const wait = assert.rejects(first.keeper.exitOf(pid, startTime), (error) => hasCode(error, 'unavailable'));
      await first.keeper.exitOf(await first.orphan('exit 0')); // init has read the question before this one
      while (!existsSync(hold)) await sleep(5);
      process.kill(init.process.pid!, 'SIGSTOP');
      first.kill();
      await writeFile(hold, 'go\n');
      await Promise.all([pid, first.hello.pid].map(untilDead));
      process.kill(init.process.pid!, 'SIGCONT');
      await wait;
      const second = await init.agent();
      assert.equal((await second.keeper.exitOf(pid, startTime)).code, 23);
      // Asked at once again, the answer stands; once it has been acknowledged the exit is forgotten.
      assert.equal((await second.keeper.exitOf(pid, startTime)).code, 23);
      await second.sh('true');
      await assert.rejects(second.keeper.exitOf(pid, startTime), (error) => hasCode(error, 'not_found'));
    });

    it('lets go of what nobody claims once the next agent has settled', async () => {
      init = await Supervised.start(binary);
      const first = await init.agent();
      const pids = await Promise.all([1, 2, 3].map(() => first.orphan('sleep 60')));
      const waits = pids.map((pid) => assert.rejects(first.keeper.exitOf(pid), (error) => hasCode(error, 'unavailable')));
      await first.sh('true');
      first.kill();
      await Promise.all(waits);
      const second = await init.agent();
      const raw = new RawKeeper(second.keeperFd);
      const welcome = await raw.receive();
      assert.ok(welcome?.type === 'welcome');
      assert.equal(welcome.tracked, 3);
      second.kill();

      const third = await init.agent();
      void third.keeper.exitOf(pids[0]!).catch(() => {});
      third.keeper.settle();
      await third.sh('true');
      third.kill();
      const fourth = new RawKeeper((await init.agent()).keeperFd);
      const last = await fourth.receive();
      assert.ok(last?.type === 'welcome');
      assert.equal(last.tracked, 1);
    });

    it('waits longer after each quick death, gives up after the limit, and says so', async () => {
      const started = performance.now();
      const options = ['--restart-limit', '6', '--max-delay', '300', '--', 'sh', '-c', 'exit 3'];
      const child = spawn(binary, options, { stdio: ['ignore', 'ignore', 'pipe'] });
      const [stderr, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')]);
      assert.equal(code, 69);
      const delays = [...stderr.matchAll(/agent generation (\d+) exited with 3 after \d+ ms; restart in (\d+) ms/g)];
      assert.deepEqual(
        delays.map((match) => [match[1], match[2]]),
        [
          ['1', '0'],
          ['2', '100'],
          ['3', '200'],
          ['4', '300'],
          ['5', '300'],
        ],
      );
      assert.match(stderr, /agent generation 6 exited with 3; 6 deaths in a row, giving up/);
      const took = performance.now() - started;
      assert.ok(took >= 900 && took < 5000, `took ${took} ms`);
    });

    it('counts anew after an agent that lived long enough', async () => {
      const options = ['--restart-limit', '3', '--max-delay', '0', '--stable-after', '1000'];
      init = await Supervised.start(binary);
      const { directory } = init;
      const script = `n=$(cat ${directory}/n 2>/dev/null || echo 0); echo $((n + 1)) > ${directory}/n; [ $n -lt 2 ] && sleep 1.2; exit 1`;
      const child = spawn(binary, [...options, '--', 'sh', '-c', script], { stdio: ['ignore', 'ignore', 'pipe'] });
      const [stderr] = await Promise.all([text(child.stderr), once(child, 'exit')]);
      // Two that lived count one each; the last of them and two quick ones make three in a row.
      assert.equal((await readFile(join(directory, 'n'), 'utf8')).trim(), '4');
      assert.match(stderr, /generation 4 exited with 1; 3 deaths in a row/);
    });

    it('counts a command that cannot be run as a death, and names it', async () => {
      const child = spawn(binary, ['--restart-limit', '2', '--', '/no/such/agent'], { stdio: ['ignore', 'ignore', 'pipe'] });
      const [stderr, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')]);
      assert.equal(code, 69);
      assert.match(stderr, /berth-init: can't run \/no\/such\/agent: No such file or directory/);
    });
  });
}
