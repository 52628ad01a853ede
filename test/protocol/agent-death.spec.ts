// The agent is killed while processes of the guest run: nothing of them is lost. The real agent on this machine, under berth-init.
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type Guest } from '../../client/api/guest.ts';
import { type NativeTestAgent, startNativeAgent } from '../support/native-agent.ts';
import { processesAt, type TestProcesses } from '../support/processes-client.ts';

describe('a process, when the agent dies', function () {
  this.timeout(30_000);
  let agent: NativeTestAgent;

  beforeEach(async () => {
    agent = await startNativeAgent({}, { restart: true });
  });
  afterEach(() => agent[Symbol.asyncDispose]());

  const killAgent = async () => {
    const again = agent.nextListening();
    process.kill(await agent.agentPid(), 'SIGKILL');
    await again;
  };

  it('goes on, and its output and exit are there for whoever comes next', async () => {
    const ref = await withClient((client) => client.sh('', 'echo one; sleep 1; echo two; exit 7'));
    await sleep(200);
    await killAgent();
    await withClient(async (client) => {
      const { stdout, exit } = await client.collect(ref);
      assert.deepEqual([stdout, exit.code], ['one\ntwo\n', 7]);
      assert.equal((await client.wait({ ref })).exit?.code, 7);
    });
  });

  it('keeps the exit that happened while no agent was there', async () => {
    const ref = await withClient((client) => client.sh('', 'sleep 0.3; exit 9'));
    const pid = await agent.agentPid();
    process.kill(pid, 'SIGSTOP');
    await sleep(600);
    const again = agent.nextListening();
    process.kill(pid, 'SIGKILL');
    await again;
    await withClient(async (client) => assert.equal((await client.wait({ ref })).exit?.code, 9));
    await using guest = await connect(agent.address, { name: 'looker' });
    assert.deepEqual(await endsTold(guest), [9]);
  });

  it('has its end told once, however soon that came and whatever died since', async () => {
    await using guest = await connect(agent.address, { name: 'starter' });
    const codes = Array.from({ length: 10 }, (_, index) => index);
    for (const code of codes) await (await guest.run(['sh', '-c', `exit ${code}`], { lifetime: 'keep' })).wait();
    assert.deepEqual(await endsTold(guest), codes);
    await killAgent();
    assert.deepEqual(await endsTold(guest), codes);
  });

  it('keeps the key of a start: the same again is the same process, anything else is refused', async () => {
    const program = { args: ['sh', '-c', 'echo $$; exit 4'] };
    const first = await withClient((client) => client.start({ program, key: 'k', labels: { a: '1' } }));
    await killAgent();
    await withClient(async (client) => {
      const again = await client.start({ program, key: 'k', labels: { a: '1' } });
      assert.deepEqual([again.existed, again.process?.pid], [true, first.process?.pid]);
      await assert.rejects(client.start({ program, key: 'k', labels: { a: '2' } }), { code: 'already_exists' });
      assert.equal((await client.wait({ ref: again.process!.ref! })).exit?.code, 4);
    });
  });

  it('keeps the time it has, whether that is a timeout or a lease', async () => {
    const start = async (more: object) => await withClient((client) => client.sh('', 'sleep 60', { graceMs: 0, ...more }));
    const timed = await start({ timeoutMs: 1_500n });
    const leased = await start({ lifetime: { leaseMs: 1_000 } });
    const kept = await start({});
    await killAgent();
    await withClient(async (client) => {
      assert.equal((await client.wait({ ref: timed })).exit?.endedBy, 'timeout');
      assert.equal((await client.wait({ ref: leased })).exit?.endedBy, 'lease');
      assert.equal((await client.inspect({ ref: kept })).exit, null);
      await client.signal({ ref: kept, signal: 9 });
    });
  });

  it('lives as long as its client, whether that asks for anything or not', async () => {
    const script = ['sh', '-c', 'trap "exit 3" USR1; while :; do sleep 0.1; done'];
    await using idle = await connect(agent.address, { name: 'idle' });
    const kept = await idle.run(script);
    const gone = await connect(agent.address, { name: 'gone' });
    await gone.run(script, { id: 'ended' });
    // As one whose program has been killed.
    await gone.close();
    await sleep(1_000);
    await killAgent();
    await using guest = await connect(agent.address, { name: 'looker' });
    const ending = await (await guest.attach('ended')).wait();
    assert.equal(ending.kind === 'expired' && ending.what, 'connection');
    await kept.kill('USR1');
    const own = await kept.wait();
    assert.equal(own.kind === 'exited' && own.code, 3, JSON.stringify(own));
  });

  it('keeps the numbers of events, so that whoever follows them goes on where it was', async () => {
    await using guest = await connect(agent.address, { name: 'follower' });
    const kinds: string[] = [];
    const numbers: bigint[] = [];
    const followed = (async () => {
      for await (const { kind, sequence } of guest.events({ after: 'start', kinds: ['process.'] })) {
        kinds.push(kind);
        numbers.push(sequence);
        if (kinds.length === 4) return;
      }
    })();
    await (await guest.run(['true'], { lifetime: 'keep' })).wait();
    await killAgent();
    await (await guest.run(['true'], { lifetime: 'keep' })).wait();
    await followed;
    assert.deepEqual(kinds, ['process.started', 'process.exited', 'process.started', 'process.exited']);
    assert.ok(numbers.every((number, index) => index === 0 || number > numbers[index - 1]!));
  });

  it('whose journal is damaged is taken over as far as it can be read, and that is said', async () => {
    const ref = await withClient((client) => client.sh('', 'sleep 1; exit 6'));
    const again = agent.nextListening();
    const pid = await agent.agentPid();
    process.kill(pid, 'SIGSTOP');
    const file = join(agent.stateDir, 'journal.1');
    const bytes = await readFile(file);
    // The record before the last: what came before it and behind it can still be read.
    const at = bytes.indexOf('["process"');
    assert.ok(at > 0);
    bytes[at + 12]! ^= 1;
    await writeFile(file, bytes);
    process.kill(pid, 'SIGKILL');
    await again;
    await using guest = await connect(agent.address, { name: 'looker' });
    const degraded = await degradedOf(guest);
    const exit = await withClient(async (client) => (await client.wait({ ref })).exit);
    assert.equal(exit?.code, 6);
    assert.match(degraded ?? '', /^the record at byte \d+ is damaged/);
    assert.deepEqual((await readdir(agent.stateDir)).filter((name) => name.includes('quarantined')).length, 2);
  });

  async function withClient<T>(work: (client: TestProcesses) => Promise<T>): Promise<T> {
    const client = await processesAt(agent.address);
    try {
      return await work(client);
    } finally {
      await client[Symbol.asyncDispose]();
    }
  }
});

describe('an agent that dies in the middle of a start', function () {
  this.timeout(30_000);
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'berth-fault-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  for (const label of ['guest-start:recorded', 'guest-start:launched', 'guest-start:started']) {
    it(`at ${label} leaves one process or none, and its client sees a pause`, async () => {
      const file = join(folder, 'label');
      await writeFile(file, label);
      await using agent = await startNativeAgent({ BERTH_FAULT_POINT_FILE: file }, { restart: true });
      await using guest = await connect(agent.address, { name: 'starter' });
      const process = await guest.run(['sh', '-c', 'echo here; exit 5'], { lifetime: 'keep' });
      let text = '';
      for await (const chunk of process.stdout) text += chunk.toString();
      const ending = await process.wait();
      assert.deepEqual([text, ending.kind === 'exited' && ending.code], ['here\n', 5]);
      assert.deepEqual([guest.hello.generation, await degradedOf(guest)], [2, '']);
      assert.equal((await guest.processes()).length, 1);
    });
  }

  it('leaves what its program has begun to whoever asks again with the key, and does not begin it twice', async () => {
    const file = join(folder, 'label');
    await writeFile(file, 'guest-start:launched');
    await using agent = await startNativeAgent({ BERTH_FAULT_POINT_FILE: file }, { restart: true });
    await using guest = await connect(agent.address, { name: 'starter' });
    const script = `echo x >> ${folder}/begun; echo here; sleep 3; exit 5`;
    const process = await guest.run(['sh', '-c', script], { lifetime: 'keep', key: 'once' });
    const text = await process.stdout.text();
    const ending = await process.wait();
    assert.deepEqual([text, ending.kind === 'exited' && ending.code, guest.hello.generation], ['here\n', 5, 2]);
    assert.equal(await readFile(join(folder, 'begun'), 'utf8'), 'x\n');
  });
});

/** The exit codes of all ends that were told, in the order they were. */
async function endsTold(guest: Guest): Promise<number[]> {
  const codes: number[] = [];
  for await (const { ending } of guest.events({ after: 'start', kinds: ['process.exited'], replayOnly: true }))
    codes.push(ending?.kind === 'exited' ? ending.code : -1);
  return codes;
}

/** As the agent said when it had recovered; undefined when it never did. */
async function degradedOf(guest: Guest): Promise<string | undefined> {
  for await (const { kind, fields } of guest.events({ after: 'start', replayOnly: true }))
    if (kind === 'agent.recovered') return fields['degraded'] ?? '';
  return undefined;
}
