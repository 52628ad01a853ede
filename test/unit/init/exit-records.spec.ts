// berth-init reaps whatever is left to it and can tell of each process how it ended.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode } from '../../../agent/errors.ts';
import { readStartTime, ticksSinceBoot } from '../../../agent/keeper/proc-start-time.ts';
import { childrenOf, untilGone } from './processes.ts';
import { BUILDS, binaryOf, type Stub, Supervised } from './supervised.ts';

for (const build of BUILDS) {
  describe(`exit records of ${build.name}`, function () {
    this.timeout(60_000);
    let init: Supervised;
    let agent: Stub;

    before(async () => {
      init = await Supervised.start(await binaryOf(build));
      agent = await init.agent();
    });
    after(() => init.stop());

    it('tells each exit code from 0 to 255', async () => {
      const script = 'i=0; while [ $i -lt 256 ]; do (read x < gate; exit $i) >/dev/null 2>&1 & echo $!; i=$((i + 1)); done';
      const pids = (await agent.sh(`cd ${init.directory} && mkfifo gate && ${script}`)).trim().split('\n').map(Number);
      const exits = await Promise.all(
        pids.map(async (pid) => {
          const startTime = await readStartTime(pid);
          return () => agent.keeper.exitOf(pid, startTime);
        }),
      );
      const waits = exits.map((exitOf) => exitOf());
      await agent.sh(`echo > ${init.directory}/gate`);
      const records = await Promise.all(waits);
      assert.deepEqual(
        records.map((record) => record.code),
        [...pids.keys()],
      );
      assert.ok(records.every((record) => record.signal === undefined && !record.coreDumped));
    });

    it('tells the signal that killed a process', async () => {
      const { SIGHUP, SIGINT, SIGQUIT, SIGABRT, SIGKILL, SIGSEGV, SIGPIPE, SIGTERM, SIGUSR1, SIGSYS } = constants.signals;
      for (const signal of [SIGHUP, SIGINT, SIGQUIT, SIGABRT, SIGKILL, SIGSEGV, SIGPIPE, SIGTERM, SIGUSR1, SIGSYS, 34, 64]) {
        // A background child of a shell ignores INT and QUIT for good; env resets them.
        const pid = await agent.orphan('ulimit -c 0; exec env --default-signal sleep 60');
        const exit = agent.keeper.exitOf(pid, await readStartTime(pid));
        while ((await readFile(`/proc/${pid}/comm`, 'utf8')) !== 'sleep\n') await sleep(5);
        process.kill(pid, signal);
        const record = await exit;
        assert.deepEqual([record.signal, record.code], [signal, undefined]);
      }
    });

    it('adopts a daemon that forked twice and has a session of its own', async () => {
      const output = await agent.sh(`setsid sh -c '(sleep 0.2; exit 41) >/dev/null 2>&1 & echo $!'`);
      const pid = Number(output);
      const record = await agent.keeper.exitOf(pid, await readStartTime(pid));
      assert.equal(record.code, 41);
      assert.ok(Math.abs(record.exitedAt - Date.now()) < 5000);
    });

    it('still knows a process that was gone before anybody asked', async () => {
      const since = ticksSinceBoot();
      const pid = await agent.orphan('exit 17');
      await untilGone(pid);
      assert.equal(await readStartTime(pid), undefined);
      const record = await agent.keeper.exitOf(pid, undefined, since);
      assert.equal(record.code, 17);
      assert.ok(record.startTime >= since);
    });

    it('does not take an older process of the same pid for the one asked for', async () => {
      const pid = await agent.orphan('exit 18');
      await untilGone(pid);
      await assert.rejects(agent.keeper.exitOf(pid, undefined, ticksSinceBoot() + 100n), (error) => hasCode(error, 'not_found'));
      await assert.rejects(agent.keeper.exitOf(pid, 1n), (error) => hasCode(error, 'not_found'));
      assert.equal((await agent.keeper.exitOf(pid)).code, 18);
    });

    it('says at once that there is no such process', async () => {
      const pid = Number(await readFile('/proc/sys/kernel/pid_max', 'utf8')) - 1;
      await assert.rejects(agent.keeper.exitOf(pid), (error) => hasCode(error, 'not_found'));
      await assert.rejects(agent.keeper.exitOf(pid, 123n), (error) => hasCode(error, 'not_found'));
      await assert.rejects(agent.keeper.exitOf(2 ** 31), (error) => hasCode(error, 'internal'));
    });

    it('answers all who wait for the same process', async () => {
      const pid = await agent.orphan('sleep 0.3; exit 9');
      const startTime = await readStartTime(pid);
      const records = await Promise.all([1, 2, 3].map(() => agent.keeper.exitOf(pid, startTime)));
      assert.deepEqual(
        records.map((record) => record.code),
        [9, 9, 9],
      );
    });

    it('ends the wait for a process whose status another parent took', async () => {
      const output = agent.sh(`sleep 1 & echo $! > ${init.directory}/child; wait; echo done`);
      const pid = Number(await agent.sh(`until [ -s ${init.directory}/child ]; do :; done; cat ${init.directory}/child`));
      const lost = assert.rejects(agent.keeper.exitOf(pid, await readStartTime(pid)), (error) => hasCode(error, 'not_found'));
      assert.equal(await output, 'done\n');
      await lost;
    });

    it('leaves no zombie', async () => {
      await agent.sh('i=0; while [ $i -lt 50 ]; do ( (exit 1) & ); i=$((i + 1)); done');
      await agent.orphan('exit 0').then(untilGone);
      const left = await childrenOf(init.process.pid!);
      assert.deepEqual(
        left.map((child) => child.pid),
        [agent.hello.pid],
      );
    });
  });
}
