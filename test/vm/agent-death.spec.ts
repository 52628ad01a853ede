// The agent is killed on a booted guest while containers and their processes run: its clients see a pause. Figures are printed.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode } from '../../agent/errors.ts';
import { connect, type Guest } from '../../client/api/guest.ts';
import type { Process } from '../../client/api/process.ts';
import { createContainer } from '../../client/kata/container.ts';
import { GuestProcess } from '../../client/kata/guest-process.ts';
import { AGENT } from '../../scripts/build/paths.ts';
import { BOOT_TIMEOUT_MS, bootTestGuest, type TestGuest } from '../support/guest.ts';
import { type GuestResources, guestResources } from '../support/guest-resources.ts';

const LONG = process.env['BERTH_TEST_LONG'] !== undefined;
const KILLS = LONG ? 200 : 10;
const STREAMS = LONG ? 32 : 8;
/** Without a program of its own for each look: that would take longer than the agent's restart. */
const KILL_AGENT =
  'read -r list < /proc/1/task/1/children; for pid in $list; do read -r name < /proc/$pid/comm && [ "$name" = kata-agent ] && kill -9 $pid && killed=1; done';
/** Resolves when the agent serves: something was started in the container whose root is `ROOT` since the last look. */
const UNTIL_SERVING = 'while set -- $ROOT/started-*; [ $# -le $seen ]; do sleep 0.1; done; seen=$#';
/** Kills agents after each of `PAUSES`, every other time only once it serves, and tells when, in Unix ms. */
const KILLER = `seen=1; turn=0; for pause in $PAUSES; do turn=$((1 - turn)); [ $turn = 0 ] || { ${UNTIL_SERVING}; }; killed=; while [ -z "$killed" ]; do sleep $pause; date +%s%3N > /run/last-kill; ${KILL_AGENT}; done; cat /run/last-kill >> /run/kills; done`;
/** ms between two kills */
const LONGEST_PAUSE_MS = LONG ? 6_000 : 3_000;

describe('the death of the agent', function () {
  this.timeout(LONG ? 3_000_000 : 480_000);
  let booted: TestGuest;

  before(async function () {
    this.timeout(BOOT_TIMEOUT_MS);
    booted = await bootTestGuest({ cmdline: ['berth-init.restart-limit=100000', 'berth-init.max-delay=1'] });
  });
  after(() => booted?.[Symbol.asyncDispose]());

  it("leaves a container and what was started in it to whoever comes next by Kata's calls", async () => {
    const before = await booted.connect('ttrpc');
    const container = await createContainer(before.kata, {
      args: ['sh', '-c', 'echo up; exec sleep 600'],
      rootfs: booted.busybox,
    });
    await container.start();
    const exec = await container.exec({ args: ['sh', '-c', 'echo one; sleep 5; echo two; echo err >&2; exit 7'] });
    await sleep(300);
    await using guest = await connect(booted.guest.address, { name: 'killer', patienceMs: 120_000 });
    const { generation } = guest.hello;
    // Told to begin once its start has been answered: it ends with the agent, and one that nobody had written down by then is started again.
    const killer = await guest.run(['sh', '-c', `read -r go; ${KILL_AGENT}`], { lifetime: 'keep', stdin: true });
    await killer.stdin.write('go\n');
    assert.equal((await killer.wait()).kind, 'exited');
    assert.deepEqual([(await guest.info()).generation, (await guest.info()).degraded], [generation + 1, '']);
    await killer.forget();
    await using client = await booted.connect('ttrpc');
    const process = new GuestProcess(client.kata, exec.address, false);
    const { stdout, stderr, exitCode } = await process.collect();
    assert.deepEqual([stdout.toString(), stderr.toString(), exitCode], ['one\ntwo\n', 'err\n', 7]);
    const again = await client.kata.readStdout({ containerId: container.id, execId: '', len: 100 });
    assert.equal(Buffer.from(again.data).toString(), 'up\n');
    const [seen] = (await client.containers()).filter(({ id }) => id === container.id);
    assert.equal(seen?.state, 'running');
    await client.kata.removeContainer({ containerId: container.id });
  });

  it(`${KILLS} times at random moments under load loses no process, no byte and no exit, starts nothing twice and leaves nothing behind`, async () => {
    await using guest = await connect(booted.guest.address, { name: 'load', patienceMs: 120_000 });
    const before = await settledResources();
    const container = await guest.create({ rootfs: booted.busybox, args: ['sleep', 'inf'] });
    await container.start();
    const expected = createHash('sha256')
      .update(Array.from({ length: 400 }, (_, n) => `${n}\n`).join(''))
      .digest('hex');
    const killer = await guest.run(['sh', '-c', KILLER], {
      env: {
        ROOT: `/proc/${(await container.inspect()).pid}/root`,
        PAUSES: Array.from({ length: KILLS }, () => ((Math.random() * LONGEST_PAUSE_MS) / 1000).toFixed(3)).join(' '),
      },
      lifetime: 'keep',
    });
    let over = false;
    let streams = 0;
    let cycles = 0;
    const streaming = async (index: number) => {
      for (let round = 0; !over; round++) {
        const status = (index * 7 + round) % 256;
        const script = `echo x >> /started-${index}-${round}; for n in $(seq 0 399); do echo $n; [ $((n % 40)) = 0 ] && sleep 1; done; exit ${status}`;
        const process = await container.run(['sh', '-c', script], { key: `s-${index}-${round}`, lifetime: 'keep' });
        const hash = createHash('sha256');
        for await (const chunk of process.stdout) hash.update(chunk);
        const ending = await process.wait();
        assert.deepEqual(ending.kind === 'exited' && ending.code, status, `${index}-${round}: ${JSON.stringify(ending)}`);
        assert.equal(hash.digest('hex'), expected, `output of ${index}-${round}`);
        await forget(process);
        streams++;
      }
    };
    const cycling = async () => {
      for (let round = 0; !over; round++, cycles++) await cycle(guest, booted, `c-${round}`);
    };
    const load = Promise.all([cycling(), ...Array.from({ length: STREAMS }, (_, index) => streaming(index))]);
    await Promise.race([load, killer.wait()]);
    over = true;
    await load;
    const started = await outputOf(container.run.bind(container), 'cat /started-* | wc -l; ls /started-* | wc -l');
    const [starts, distinct] = started.trim().split('\n').map(Number);
    const kills = (await outputOf(guest.run.bind(guest), 'cat /run/kills; rm /run/kills /run/last-kill'))
      .trim()
      .split('\n')
      .map(Number);
    await forget(killer);
    await container.remove();
    const after = await settledResources();
    const recoveries = await recoveriesOf(guest, kills);
    console.log(`      ${kills.length} kills; ${streams} streams and ${cycles} containers made and removed`);
    console.log(
      `      kill to serving again: p50 ${percentile(recoveries, 50)} ms, p99 ${percentile(recoveries, 99)} ms; cold start of the agent ${await coldStart()} ms`,
    );
    assert.equal(kills.length, KILLS);
    assert.equal(starts, distinct, 'something was started twice');
    assert.deepEqual(after, before);
    assert.equal((await guest.info()).degraded, '');
  });

  it('can be planned: another agent takes over a container and its exec, and one that does not come up leaves them to the image', async () => {
    await using guest = await connect(booted.guest.address, { name: 'upgrader', patienceMs: 120_000 });
    await using container = await guest.create({ rootfs: booted.busybox, args: ['sleep', 'inf'] });
    await container.start();
    const script = 'for n in $(seq 0 29); do echo $n; sleep 0.5; done; exit 6';
    const process = await container.run(['sh', '-c', script], { lifetime: 'keep' });
    const output = process.stdout.text();
    const { from, to, silentMs } = await guest.upgrade(AGENT);
    assert.equal(to.generation, from.generation + 1);
    console.log(`      nobody answered for ${Math.round(silentMs)} ms`);
    const broken = await mkdtemp(join(tmpdir(), 'berth-broken-'));
    await cp(AGENT, broken, { recursive: true });
    await writeFile(join(broken, 'main.js'), 'process.exit(1);');
    await assert.rejects(guest.upgrade(broken), { code: 'aborted' });
    await rm(broken, { recursive: true });
    assert.equal(await output, Array.from({ length: 30 }, (_, n) => `${n}\n`).join(''));
    const ending = await process.wait();
    assert.equal(ending.kind === 'exited' && ending.code, 6);
    const { bundle, degraded } = await guest.info();
    assert.deepEqual([bundle, degraded], ['', '']);
  });

  it('hides no end that came while no agent was there', async () => {
    await using guest = await connect(booted.guest.address, { name: 'mourner', patienceMs: 120_000 });
    const container = await guest.create({ rootfs: booted.busybox, args: ['sleep', 'inf'] });
    await container.start();
    const { pid } = await container.inspect();
    const killer = await guest.run(['sh', '-c', `read -r go; ${KILL_AGENT}; kill -9 ${pid}`], { lifetime: 'keep', stdin: true });
    await killer.stdin.write('go\n');
    const ending = await (await container.init()).wait();
    assert.equal(ending.kind === 'signalled' && ending.name, 'SIGKILL');
    await killer.wait();
    await forget(killer);
    await container.remove();
    const told: string[] = [];
    for await (const { kind } of guest.events({ after: 'start', kinds: ['container.'], containerIds: [container.id] })) {
      told.push(kind);
      if (kind === 'container.deleted') break;
    }
    assert.deepEqual(told, ['container.created', 'container.started', 'container.stopped', 'container.deleted']);
  });

  async function settledResources(): Promise<GuestResources> {
    // Connections that broke are closed on both sides by then.
    await sleep(3_000);
    return await guestResources(booted);
  }

  /** From the start of the agent in the boot to its listening, by the guest's console. */
  async function coldStart(): Promise<number> {
    const line =
      (await readFile(booted.guest.consoleLog, 'utf8')).split('\n').find((text) => text.includes('"agent listening"')) ?? '';
    const field = (name: string) => Number(new RegExp(`"${name}":"(\\d+)"`).exec(line)?.[1]);
    return field('uptime_ms') - field('init_uptime_ms');
  }
});

/** A container made, started, entered and removed, each step of which may find that it has been done. */
async function cycle(guest: Guest, booted: TestGuest, id: string): Promise<void> {
  const container = await guest.create({ id, rootfs: booted.busybox, args: ['sleep', 'inf'] });
  await container.start();
  const process = await container.run(['sh', '-c', 'echo hello; exit 3'], { key: id, lifetime: 'keep' });
  const ending = await process.wait();
  assert.equal(ending.kind === 'exited' && ending.code, 3);
  await forget(process);
  await container.remove();
}

/** Its answer may be lost with the agent. */
async function forget(process: Process): Promise<void> {
  try {
    await process.forget();
  } catch (error) {
    if (hasCode(error, 'unavailable')) return await forget(process);
    if (!hasCode(error, 'not_found')) throw error;
  }
}

async function outputOf(run: Guest['run'], script: string): Promise<string> {
  const process = await run(['sh', '-c', script], { lifetime: 'keep' });
  let text = '';
  for await (const chunk of process.stdout) text += chunk.toString();
  await process.wait();
  await forget(process);
  return text;
}

/** ms from a kill to the next `agent.recovered`; of several the last, since the others hit an agent that had not come so far. */
async function recoveriesOf(guest: Guest, kills: readonly number[]): Promise<number[]> {
  const times: number[] = [];
  for await (const event of guest.events({ after: 'start', replayOnly: true })) {
    if (event.kind === 'agent.recovered') times.push(event.at.getTime());
  }
  return times.flatMap((at, index) => {
    const last = kills.findLast((kill) => kill > (times[index - 1] ?? 0) && kill <= at);
    return last === undefined ? [] : [at - last];
  });
}

function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * percent) / 100))] ?? Number.NaN;
}
