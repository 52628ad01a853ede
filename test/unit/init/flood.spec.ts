// berth-init under many exits at once: every tracked one is told, nothing piles up.
import assert from 'node:assert/strict';
import { readStartTime } from '../../../agent/keeper/proc-start-time.ts';
import { childrenOf, openFds, statusKb } from './processes.ts';
import { BUILDS, binaryOf, type Stub, Supervised } from './supervised.ts';

const TRACKED = 1000;
const ORPHANS = 10_000;

for (const build of BUILDS) {
  describe(`a flood of exits at ${build.name}`, function () {
    this.timeout(120_000);
    let init: Supervised;
    let agent: Stub;

    before(async () => {
      init = await Supervised.start(await binaryOf(build));
      agent = await init.agent();
    });
    after(() => init.stop());

    it(`tells each of ${TRACKED} tracked exits among ${ORPHANS} of orphans nobody asked for, and grows by nothing`, async () => {
      const gate = `${init.directory}/flood`;
      const children = `(read -r x < ${gate}; exit $((i % 256))) >/dev/null 2>&1 & echo $!`;
      const output = await agent.sh(`mkfifo ${gate}; i=0; while [ $i -lt ${TRACKED} ]; do ${children}; i=$((i + 1)); done`);
      const pids = output.trim().split('\n').map(Number);
      const exits = await Promise.all(pids.map(async (pid) => ({ pid, startTime: await readStartTime(pid) })));
      const orphans = (count: number) => agent.sh(`i=0; while [ $i -lt ${count} ]; do ( (exit 1) & ); i=$((i + 1)); done`);
      const memory = await statusKb(init.process.pid!, 'VmData');
      const fds = await openFds(init.process.pid!);

      const first = orphans(ORPHANS / 2);
      // Half are asked for before they end, half after.
      const early = exits.slice(0, TRACKED / 2).map(({ pid, startTime }) => agent.keeper.exitOf(pid, startTime));
      await agent.sh(`echo > ${gate}`);
      const second = orphans(ORPHANS / 2);
      const late = exits.slice(TRACKED / 2).map(({ pid, startTime }) => agent.keeper.exitOf(pid, startTime));
      const records = await Promise.all([...early, ...late]);

      assert.deepEqual(
        records.map(({ pid, startTime, code }) => ({ pid, startTime, code })),
        exits.map(({ pid, startTime }, i) => ({ pid, startTime, code: i % 256 })),
      );
      await Promise.all([first, second]);
      await agent.keeper.exitOf(await agent.orphan('exit 0'));
      const left = await childrenOf(init.process.pid!);
      assert.deepEqual(
        left.map((child) => child.pid),
        [agent.hello.pid],
      );
      assert.equal(await statusKb(init.process.pid!, 'VmData'), memory);
      assert.equal(await openFds(init.process.pid!), fds);
    });
  });
}
