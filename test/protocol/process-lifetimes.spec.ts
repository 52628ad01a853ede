// How processes of berth.v1 begin and end: keys, failures, timeouts, leases, connections, waiting, forgetting. The real agent on this machine.
import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { berth } from '#proto/berth.js';
import { WORKLOAD_CGROUP } from '../../agent/container/spec/context.ts';
import type { AgentError } from '../../agent/errors.ts';
import { readMounts } from '../../agent/guest/mount-table.ts';
import { method, serviceClient } from '../../client/rpc/typed.ts';
import { type NativeTestAgent, startNativeAgent } from '../support/native-agent.ts';
import { processesAt, type Ref, type TestProcesses } from '../support/processes-client.ts';

const { SCOPE_TREE } = berth.v1.SignalRequest.Scope;
const SIGKILL = 9;
const SIGTERM = 15;
const longRun = process.env['BERTH_TEST_LONG'] !== undefined;
const READ = { start: true, primary: true, credit: 1024 * 1024 } as const;

describe('a process of berth.v1', function () {
  this.timeout(30_000);
  let agent: NativeTestAgent;
  let processes: TestProcesses;
  let folder: string;

  before(async () => {
    agent = await startNativeAgent();
    processes = await processesAt(agent.address);
    folder = await mkdtemp(join(tmpdir(), 'berth-lifetimes-'));
  });
  after(async () => {
    await processes?.[Symbol.asyncDispose]();
    await agent?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  const sh = (script: string, more: Parameters<TestProcesses['sh']>[2] = {}): Promise<Ref> => processes.sh('', script, more);
  const exitOf = async (ref: Ref) => (await processes.wait({ ref })).exit!;

  it(`is started once for a key, however often its start is repeated`, async function () {
    const keys = longRun ? 1000 : 100;
    this.timeout(longRun ? 300_000 : 60_000);
    let repeated = 0;
    const programOf = (key: number) => ({ args: ['sh', '-c', `echo x >> ${join(folder, `${key}`)}`] });
    const startOf = async (key: number) => {
      const program = programOf(key);
      for (;;) {
        // A reply that is dropped: the call is given up at any moment, and asked again, sometimes while the first still runs.
        const gaveUp = AbortSignal.timeout(Math.ceil(Math.random() * 20));
        try {
          const last = Math.random() < 0.3;
          await processes.start({ program, key: `k${key}`, forgetWhenDone: false }, last ? {} : { signal: gaveUp });
          if (last) return;
        } catch (error) {
          assert.equal((error as AgentError).code, 'cancelled', String(error));
        }
        repeated++;
      }
    };
    const left = Array.from({ length: keys }, (_, index) => index);
    await Promise.all(
      Array.from({ length: 8 }, async () => {
        for (let key = left.pop(); key !== undefined; key = left.pop()) {
          await startOf(key);
          const { existed, process } = await processes.start({ program: programOf(key), key: `k${key}` });
          assert.equal(existed, true);
          await processes.wait({ ref: process!.ref! });
          await processes.forget({ ref: process!.ref! });
        }
      }),
    );
    assert.ok(repeated > keys, `${repeated} were repeated`);
    const files = await readdir(folder);
    assert.equal(files.length, keys);
    const sizes = await Promise.all(files.map(async (name) => (await stat(join(folder, name))).size));
    assert.deepEqual([...new Set(sizes)], [2], 'one line each');
  });

  it('is told apart from another with its key', async () => {
    const start = (args: string[], containerId = '') => processes.start({ containerId, program: { args }, key: 'same' });
    const first = await start(['sleep', '100']);
    const [second, third] = await Promise.all([start(['sleep', '100']), start(['sleep', '100'])]);
    assert.deepEqual([first.existed, second.existed, third.existed], [false, true, true]);
    assert.equal(second.process!.pid, first.process!.pid);
    await assert.rejects(start(['sleep', '5']), { code: 'already_exists' });
    await processes.signal({ ref: first.process!.ref!, signal: SIGKILL });
  });

  it('that can not be started is told by stage and errno, and its key is free', async () => {
    const failure = async (program: berth.v1.Program.$Properties) => {
      try {
        await processes.start({ program, key: 'broken' });
      } catch (error) {
        const { code, fields } = error as AgentError;
        return [code, JSON.parse(String(fields['berth-start-failure']))];
      }
      throw new Error('it was started');
    };
    const [code, told] = await failure({ args: ['no-such-program'] });
    assert.equal(code, 'not_found');
    assert.deepEqual([told.stage, told.errnoName], ['STAGE_PROGRAM', 'ENOENT']);
    const [, directory] = await failure({ args: ['true'], cwd: '/no/such' });
    assert.deepEqual([directory.stage, directory.errnoName], ['STAGE_DIRECTORY', 'ENOENT']);
    const { existed, process } = await processes.start({ program: { args: ['true'] }, key: 'broken' });
    assert.equal(existed, false);
    assert.equal((await exitOf(process!.ref!)).code, 0);
  });

  it('is waited for by any number of clients, early and late, until it is forgotten', async () => {
    await using other = await processesAt(agent.address);
    const ref = await sh('sleep 0.2; exit 9');
    const waits = [processes, other, other].map((client) => client.wait({ ref }));
    assert.deepEqual(
      (await Promise.all(waits)).map(({ exit }) => exit!.code),
      [9, 9, 9],
    );
    assert.equal((await other.wait({ ref })).exit!.code, 9);
    await processes.forget({ ref });
    await assert.rejects(other.wait({ ref }), { code: 'not_found' });
  });

  it('can not be forgotten while it runs', async () => {
    const ref = await sh('sleep 100');
    await assert.rejects(processes.forget({ ref }), { code: 'failed_precondition' });
    await processes.signal({ ref, signal: SIGKILL });
    await exitOf(ref);
    await processes.forget({ ref });
  });

  it('is forgotten by itself when it is done and its output was taken, if asked for', async () => {
    const ref = await sh('echo hi', { forgetWhenDone: true });
    await exitOf(ref);
    await sleep(50);
    assert.ok(await processes.inspect({ ref }), 'its output was not taken yet');
    const attached = await processes.attach({ ref, stdout: READ, stderr: READ });
    await attached.finished;
    for (let tries = 0; tries < 100; tries++) {
      if (
        await processes.inspect({ ref }).then(
          () => false,
          () => true,
        )
      )
        break;
      await sleep(10);
    }
    await assert.rejects(processes.inspect({ ref }), { code: 'not_found' });
  });

  it('goes, oldest first, when too many that have ended lie around', async () => {
    const refs: Ref[] = [];
    for (let count = 0; count < 70; count++) {
      const ref = await sh('exit 0', { processId: `old${count}` });
      await exitOf(ref);
      refs.push(ref);
    }
    await assert.rejects(processes.inspect({ ref: refs[0]! }), { code: 'not_found' });
    assert.ok(await processes.inspect({ ref: refs.at(-1)! }));
    for (const ref of refs) await processes.forget({ ref }).catch(() => {});
  });

  const STUBBORN = 'trap "" TERM; setsid sh -c \'trap "" TERM; while :; do sleep 1; done\' & while :; do sleep 1; done';

  async function goneWithin(ref: Ref, ms: number): Promise<void> {
    const deadline = performance.now() + ms;
    while ((await processes.stats({ ref })).processes > 0) {
      if (performance.now() > deadline) throw new Error(`something of it lives after ${ms} ms`);
      await sleep(10);
    }
  }

  it('is ended with all that it has started when its time is over', async () => {
    const ref = await sh(STUBBORN, { timeoutMs: 300n, graceMs: 100 });
    const exit = await exitOf(ref);
    assert.deepEqual([exit.signal, exit.endedBy], [SIGKILL, 'timeout']);
    await goneWithin(ref, 200);
  });

  it('gets SIGTERM first, and the time to heed it', async () => {
    const ref = await sh('trap "exit 6" TERM; while :; do sleep 0.02; done', { timeoutMs: 200n, graceMs: 5000 });
    const exit = await exitOf(ref);
    assert.deepEqual([exit.code, exit.endedBy], [6, 'timeout']);
  });

  it('with a lease lives while somebody is attached or renews it, and not longer', async () => {
    const ref = await sh(STUBBORN, { lifetime: { leaseMs: 400 }, graceMs: 0 });
    const attached = await processes.attach({ ref, stdout: READ });
    await sleep(800);
    assert.equal((await processes.inspect({ ref })).exit, null);
    attached.cancel();
    for (let renewals = 0; renewals < 4; renewals++) {
      await sleep(200);
      await processes.renew({ ref });
    }
    const from = performance.now();
    const exit = await exitOf(ref);
    assert.deepEqual([exit.signal, exit.endedBy], [SIGKILL, 'lease']);
    assert.ok(performance.now() - from > 300, `it ended ${performance.now() - from} ms after the last renewal`);
    await goneWithin(ref, 200);
    await assert.rejects(processes.renew({ ref: await sh('sleep 9', { timeoutMs: 100n }) }), { code: 'failed_precondition' });
  });

  it('of a connection dies with it, and one to be kept does not', async () => {
    const own = await processesAt(agent.address);
    const dies = await own.sh('', STUBBORN, { lifetime: { connection: true }, graceMs: 0 });
    const stays = await own.sh('', 'sleep 100');
    await own[Symbol.asyncDispose]();
    assert.equal((await exitOf(dies)).endedBy, 'connection');
    await goneWithin(dies, 200);
    assert.equal((await processes.inspect({ ref: stays })).exit, null);
    await processes.signal({ ref: stays, signal: SIGTERM });
    const { signal, endedBy } = await exitOf(stays);
    assert.deepEqual([signal, endedBy], [SIGTERM, '']);
  });

  it('is listed with its labels, and below it what it has started', async () => {
    const ref = await sh('sleep 100 & sleep 101 & wait', { labels: { role: 'test' }, processId: 'listed' });
    let members: berth.v1.ProcessTree.Member.$Properties[] = [];
    // Between fork and exec a child still has the name of its parent.
    for (let tries = 0; members.filter(({ command }) => command === 'sleep').length < 2 && tries < 100; tries++) {
      const { processes: trees } = await processes.list({ containerId: '', tree: true });
      const tree = trees.find(({ process }) => process?.ref?.processId === 'listed');
      assert.deepEqual(tree?.process?.labels, { role: 'test' });
      members = tree?.members ?? [];
      await sleep(5);
    }
    const { pid } = await processes.inspect({ ref });
    assert.deepEqual(
      members.map(({ command, parentPid }) => [command, parentPid]),
      [
        ['sleep', pid],
        ['sleep', pid],
      ],
    );
    assert.equal((await processes.stats({ ref })).processes, 3);
    await processes.signal({ ref, signal: SIGKILL, scope: SCOPE_TREE });
    await exitOf(ref);
  });

  it('refuses what makes no sense, naming the field', async () => {
    const refused = async (request: berth.v1.StartRequest.$Properties) => {
      try {
        await processes.start(request);
      } catch (error) {
        const { code, fields } = error as AgentError;
        return [code, fields['field'] ?? fields['berth-field']];
      }
      throw new Error('it was started');
    };
    const program = { args: ['true'] };
    assert.deepEqual(await refused({}), ['invalid_argument', 'program']);
    assert.deepEqual(await refused({ program: {} }), ['invalid_argument', 'program.args']);
    assert.deepEqual(await refused({ program: { ...program, env: ['X'] } }), ['invalid_argument', 'program.env']);
    assert.deepEqual(await refused({ program: { ...program, cwd: 'x' } }), ['invalid_argument', 'program.cwd']);
    assert.deepEqual(await refused({ program, processId: '../x' }), ['invalid_argument', 'exec_id']);
    assert.deepEqual(await refused({ program, key: 'k'.repeat(129) }), ['invalid_argument', 'key']);
    assert.deepEqual(await refused({ program, stdout: { limitBytes: 1 } }), ['invalid_argument', 'stdout.limit_bytes']);
    assert.deepEqual(await refused({ program, lifetime: { leaseMs: 0 } }), ['invalid_argument', 'lifetime.lease_ms']);
    const ref = await sh('sleep 100');
    await assert.rejects(processes.signal({ ref, signal: 65 }), { code: 'invalid_argument' });
    await assert.rejects(processes.signal({ ref: {}, signal: 9 }), { code: 'invalid_argument' });
    await processes.signal({ ref, signal: SIGKILL });
  });

  it('leaves no cgroup behind', async () => {
    const root = (await readMounts()).find(({ fstype }) => fstype === 'cgroup2')!.target;
    const count = async () =>
      (await readdir(join(root, WORKLOAD_CGROUP, 'processes'), { withFileTypes: true })).filter((entry) => entry.isDirectory())
        .length;
    const before = await count();
    const refs = await Promise.all(Array.from({ length: 8 }, () => sh('sleep 0.1')));
    assert.ok((await count()) >= refs.length);
    await Promise.all(refs.map(exitOf));
    for (let tries = 0; tries < 200 && (await count()) > before; tries++) await sleep(10);
    assert.ok((await count()) <= before);
  });
});

describe('the lease of the sandbox', function () {
  this.timeout(30_000);

  it('ends the agent when nobody renews it', async () => {
    await using agent = await startNativeAgent();
    await using own = await processesAt(agent.address);
    const calls = serviceClient(own.channel, 'berth.v1.Agent', {
      sandboxLease: method(berth.v1.SandboxLeaseRequest, berth.v1.SandboxLeaseResponse),
    });
    const { expiresUnixMs } = await calls.sandboxLease({ ttlMs: 1000 });
    assert.ok(Math.abs(Number(expiresUnixMs) - Date.now() - 1000) < 500);
    for (let renewals = 0; renewals < 3; renewals++) {
      await sleep(600);
      await calls.sandboxLease({ ttlMs: 1000 });
    }
    assert.equal((await calls.sandboxLease({ ttlMs: 0 })).expiresUnixMs, 0n);
    await sleep(1200);
    await assert.rejects(calls.sandboxLease({ ttlMs: 999 }), { code: 'invalid_argument' });
    await calls.sandboxLease({ ttlMs: 1000 });
    await own.channel.closed;
  });
});
