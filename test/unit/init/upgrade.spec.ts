// Another agent in place of the command's: it is on trial until it has settled, and the command's own comes back when it comes to nothing.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BUILDS, binaryOf, type Stub, Supervised } from './supervised.ts';

const STUB = join(import.meta.dirname, 'agent-stub.ts');
/** Where the script stands in the command of `Supervised`: behind node and one option. */
const SCRIPT = 2;

for (const build of BUILDS) {
  describe(`${build.name} with another agent in place of its command's`, function () {
    this.timeout(60_000);
    let binary: string;
    let init: Supervised;

    before(async () => {
      binary = await binaryOf(build);
    });
    afterEach(() => init?.stop());

    const script = async (name: string, source: string): Promise<string> => {
      const path = join(init.directory, name);
      await writeFile(path, source);
      return path;
    };
    const stub = (name = 'other.mjs') => script(name, `await import(${JSON.stringify(STUB)});`);
    const runs = async (agent: Stub): Promise<[string, string]> => {
      const [argument, word] = (await agent.sh(`tr '\\0' '\\n' < /proc/$PPID/cmdline | sed -n 3p; echo "$BERTH_UPGRADE"`)).split(
        '\n',
      );
      return [argument!, word!];
    };

    it('runs it at once when the one before has ended, counts from new, and keeps it once it has settled', async () => {
      init = await Supervised.start(binary, ['--restart-limit', '3']);
      for (let death = 0; death < 2; death++) (await init.agent()).kill();
      const first = await init.agent();
      const path = await stub();
      await first.keeper.upgrade(path, SCRIPT);
      first.exit(0);
      const second = await init.agent();
      assert.deepEqual([await runs(second), second.hello.generation], [[path, `new:${path}`], '4']);
      assert.match(init.stderr, /agent generation 3 has handed over to .*other\.mjs\n$/);
      second.keeper.settle();
      await second.sh('true');
      second.kill();
      const third = await init.agent();
      assert.deepEqual(await runs(third), [path, '']);
    });

    it('goes back when it has died twice before it settled, and says so to the next', async () => {
      init = await Supervised.start(binary, ['--restart-limit', '3']);
      const first = await init.agent();
      const path = await script('broken.mjs', 'process.exit(1);');
      await first.keeper.upgrade(path, SCRIPT);
      first.kill();
      const back = await init.agent();
      assert.deepEqual([await runs(back), back.hello.generation], [[STUB, `failed:${path}`], '4']);
      assert.match(init.stderr, /agent generation 3: .*broken\.mjs comes to nothing; back to .*agent-stub\.ts/);
      back.keeper.settle();
      await back.sh('true');
      back.kill();
      assert.deepEqual(await runs(await init.agent()), [STUB, '']);
    });

    it('ends one that does not settle in time, and goes back after the second', async () => {
      init = await Supervised.start(binary, ['--upgrade-trial', '300']);
      const first = await init.agent();
      const path = await script('hanging.mjs', 'setInterval(() => {}, 1000);');
      await first.keeper.upgrade(path, SCRIPT);
      first.exit(0);
      assert.deepEqual(await runs(await init.agent()), [STUB, `failed:${path}`]);
      assert.equal(init.stderr.match(/is not at work after 300 ms; killing it/g)?.length, 2);
    });

    it('goes back rather than give up on one that settles and dies', async () => {
      init = await Supervised.start(binary, ['--restart-limit', '3', '--max-delay', '1']);
      const first = await init.agent();
      const path = await stub();
      await first.keeper.upgrade(path, SCRIPT);
      first.exit(0);
      for (let death = 0; death < 3; death++) {
        const agent = await init.agent();
        assert.equal((await runs(agent))[0], path);
        agent.keeper.settle();
        await agent.sh('true');
        agent.kill();
      }
      assert.deepEqual(await runs(await init.agent()), [STUB, `failed:${path}`]);
    });

    it('takes another one after that', async () => {
      init = await Supervised.start(binary);
      const first = await init.agent();
      await first.keeper.upgrade(await script('broken.mjs', 'process.exit(1);'), SCRIPT);
      first.exit(0);
      const back = await init.agent();
      const path = await stub('better.mjs');
      await back.keeper.upgrade(path, SCRIPT);
      back.exit(0);
      assert.deepEqual(await runs(await init.agent()), [path, `new:${path}`]);
    });

    it('refuses what is no argument of its command, and no absolute path', async () => {
      init = await Supervised.start(binary);
      const first = await init.agent();
      for (const [path, argument] of [
        ['/a', 0],
        ['/a', 4],
        ['a', 2],
        ['', 2],
      ] as const)
        await assert.rejects(first.keeper.upgrade(path, argument), { code: 'failed_precondition' });
      first.kill();
      assert.deepEqual(await runs(await init.agent()), [STUB, '']);
    });
  });
}
