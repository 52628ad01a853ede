// berth.v1.Processes on a booted guest, in a container and in the guest itself.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { berth } from '#proto/berth.js';
import type { AgentError } from '../../agent/errors.ts';
import type { AgentClient } from '../../client/kata/agent-client.ts';
import { createContainer, type KataContainer } from '../../client/kata/container.ts';
import { sharedGuest, type TestGuest } from '../support/guest.ts';
import { processesAt, type TestProcesses } from '../support/processes-client.ts';

const { SCOPE_TREE, SCOPE_LEADER } = berth.v1.SignalRequest.Scope;
const SIGKILL = 9;
const SIGTERM = 15;
const READ = { start: true, primary: true, credit: 1024 * 1024 } as const;

describe('the processes of berth.v1', () => {
  let guest: TestGuest;
  let client: AgentClient;
  let container: KataContainer;
  let processes: TestProcesses;

  before(async function () {
    this.timeout(200_000);
    guest = await sharedGuest();
    client = await guest.connect('ttrpc');
    container = await createContainer(client.kata, { args: ['sleep', 'inf'], rootfs: guest.busybox });
    await container.start();
    processes = await processesAt(guest.guest.address);
  });

  after(async () => {
    await processes?.[Symbol.asyncDispose]();
    await container?.remove();
    await client?.close();
  });

  for (const where of ['a container', 'the guest'] as const) {
    describe(`in ${where}`, () => {
      const id = () => (where === 'the guest' ? '' : container.id);

      it('run to their end, and tell output and exit', async () => {
        const ref = await processes.sh(id(), 'echo out; echo err >&2; exit 7');
        const { stdout, stderr, exit } = await processes.collect(ref);
        assert.deepEqual([stdout, stderr, exit.code, exit.signal], ['out\n', 'err\n', 7, 0]);
      });

      it('tell the exit at once, who still holds the output, and what is written later', async () => {
        const ref = await processes.sh(id(), '(sleep 2; echo late) & echo hi; exit 3');
        const attached = await processes.attach({ ref, stdout: READ });
        await attached.until(() => attached.exit !== undefined, 'the exit was told');
        assert.equal(attached.exit!.code, 3);
        const afterMs = attached.cameAt.get('exit')! - attached.cameAt.get('data')!;
        console.log(`        the exit was told ${Math.max(0, afterMs).toFixed(1)} ms after its last output`);
        await attached.until(() => attached.stdout.held !== undefined, 'the holder was told');
        assert.equal(attached.text('stdout'), 'hi\n');
        assert.equal(attached.stdout.ended, undefined);
        assert.ok(attached.stdout.held!.holders.length > 0);
        await attached.finished;
        assert.equal(attached.text('stdout'), 'hi\nlate\n');
        assert.equal(attached.stdout.ended!.closed, true);
      });
    });
  }

  it('are killed as a tree, whatever they do to get away; the leader alone otherwise', async () => {
    const script = `setsid sh -c 'trap "" TERM; (setsid sleep 1000 &) ; sleep 1000' & echo ready; sleep 1000`;
    const ref = await processes.sh(container.id, script);
    const attached = await processes.attach({ ref, stdout: READ });
    await attached.until(() => attached.text('stdout') === 'ready\n', 'it is up');
    const alive = async () => (await processes.stats({ ref })).processes;
    const started = async () => {
      const { processes: trees } = await processes.list({ containerId: container.id, tree: true });
      const tree = trees.find(({ process }) => process?.ref?.processId === ref.processId)!;
      return tree.members!.map(({ command }) => command).join();
    };
    // A process is there before it has become its program.
    for (let tries = 0; (await started()) !== 'sleep,sleep' && tries < 100; tries++) await sleep(50);
    assert.equal(await started(), 'sleep,sleep');
    await processes.signal({ ref, signal: SIGTERM, scope: SCOPE_LEADER });
    await attached.until(() => attached.exit !== undefined, 'the leader has gone');
    assert.equal(attached.exit!.signal, SIGTERM);
    await sleep(300);
    assert.ok((await alive()) >= 2, 'what it started lives on');
    const from = performance.now();
    assert.deepEqual((await processes.signal({ ref, signal: SIGKILL, scope: SCOPE_TREE, graceMs: 2000 })).survivors, []);
    console.log(`        nothing alive ${(performance.now() - from).toFixed(0)} ms after a tree kill was asked for`);
    assert.equal(await alive(), 0);
    await attached.finished;
    await processes.forget({ ref });
    await assert.rejects(processes.inspect({ ref }), { code: 'not_found' });
  });

  it('are told apart when the memory limit kills one of them', async () => {
    const limited = await createContainer(client.kata, {
      args: ['sleep', 'inf'],
      rootfs: guest.busybox,
      memoryBytes: 48n * 1024n * 1024n,
    });
    try {
      await limited.start();
      const greedy = await processes.sh(limited.id, 'x=y; while :; do x=$x$x; done');
      const modest = await processes.sh(limited.id, 'sleep 2');
      const [first, second] = await Promise.all([greedy, modest].map((ref) => processes.wait({ ref })));
      assert.deepEqual([first!.exit!.oomKilled, second!.exit!.oomKilled], [true, false]);
      assert.equal((await processes.stats({ ref: greedy })).oomKills, 1n);
    } finally {
      await limited.remove();
    }
  });

  it('that can not be started are told by stage and errno', async () => {
    const failure = async (program: berth.v1.Program.$Properties) => {
      try {
        await processes.start({ containerId: container.id, program });
      } catch (error) {
        return JSON.parse(String((error as AgentError).fields['berth-start-failure']));
      }
      throw new Error('it was started');
    };
    const cases: [berth.v1.Program.$Properties, string, string][] = [
      [{ args: ['no-such-program'] }, 'STAGE_PROGRAM', 'ENOENT'],
      [{ args: ['/etc'] }, 'STAGE_PROGRAM', 'EPERM'],
      [{ args: ['true'], cwd: '/dev/null/x' }, 'STAGE_DIRECTORY', 'ENOTDIR'],
    ];
    for (const [program, stage, errnoName] of cases) {
      const told = await failure(program);
      assert.deepEqual([told.stage, told.errnoName], [stage, errnoName], told.message);
    }
  });

  it('of Kata live beside them, and cost what they did', async () => {
    const [plain, own] = await Promise.all(
      [0, 1].map(() => createContainer(client.kata, { args: ['sleep', 'inf'], rootfs: guest.busybox })),
    );
    try {
      for (const each of [plain!, own!]) await each.start();
      // The first one of ours gives the container's cgroup its leaf; from then on Kata's have cgroups as well.
      assert.equal((await processes.collect(await processes.sh(own!.id, 'true'))).exit.code, 0);
      const times: [number[], number[], number[]] = [[], [], []];
      const timed = async (into: number[], work: () => Promise<unknown>) => {
        const from = performance.now();
        await work();
        into.push(performance.now() - from);
      };
      for (let round = 0; round < 15; round++) {
        await timed(times[0], () => plain!.exec({ args: ['true'] }).then((exec) => exec.wait()));
        await timed(times[1], () => own!.exec({ args: ['true'] }).then((exec) => exec.wait()));
        await timed(times[2], async () => processes.wait({ ref: await processes.sh(own!.id, 'exit 0') }));
      }
      const [without, within, berth] = times.map((all) => all.sort((a, b) => a - b)[7]!);
      const figures = `${without!.toFixed(0)} ms without a cgroup of its own, ${within!.toFixed(0)} ms with one`;
      console.log(`        exec of true to its exit, medians of 15: ${figures}; of berth.v1 ${berth!.toFixed(0)} ms`);
      assert.ok(within! < 1.5 * without!, figures);
    } finally {
      for (const each of [plain!, own!]) await each.remove();
    }
  });
});
