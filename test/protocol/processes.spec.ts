// berth.v1.Processes end to end: the real agent on this machine, real processes, gRPC over a Unix socket.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { berth } from '#proto/berth.js';
import { type NativeTestAgent, startNativeAgent } from '../support/native-agent.ts';
import { processesAt, type Ref, type TestProcesses } from '../support/processes-client.ts';

const { SCOPE_TREE, SCOPE_LEADER } = berth.v1.SignalRequest.Scope;
const SIGKILL = 9;
const SIGTERM = 15;
const READ = { start: true, primary: true, credit: 1024 * 1024 } as const;

describe('the processes of berth.v1', function () {
  this.timeout(30_000);
  let agent: NativeTestAgent;
  let processes: TestProcesses;

  before(async () => {
    agent = await startNativeAgent();
    processes = await processesAt(agent.address);
  });
  after(async () => {
    await processes?.[Symbol.asyncDispose]();
    await agent?.[Symbol.asyncDispose]();
  });

  const sh = (script: string, more: Parameters<TestProcesses['sh']>[2] = {}): Promise<Ref> => processes.sh('', script, more);
  const alive = async (ref: Ref) => (await processes.stats({ ref })).processes;

  it('run to their end, and tell output and exit', async () => {
    const { stdout, stderr, exit } = await processes.collect(await sh('echo out; echo err >&2; exit 7'));
    assert.deepEqual([stdout, stderr, exit.code, exit.signal], ['out\n', 'err\n', 7, 0]);
  });

  it('tell the exit at once, who still holds the output, and what is written later', async () => {
    const ref = await sh('(sleep 0.7; echo late) & echo hi; exit 3');
    const attached = await processes.attach({ ref, stdout: READ });
    await attached.until(() => attached.exit !== undefined, 'the exit was told');
    assert.equal(attached.exit!.code, 3);
    const afterMs = attached.cameAt.get('exit')! - attached.cameAt.get('data')!;
    console.log(`        the exit was told ${Math.max(0, afterMs).toFixed(1)} ms after its last output`);
    await attached.until(() => attached.stdout.held !== undefined, 'the holder was told');
    assert.equal(attached.text('stdout'), 'hi\n');
    assert.equal(attached.stdout.ended, undefined);
    assert.deepEqual(attached.stdout.held!.holders.map(({ command }) => command).sort(), ['sh', 'sleep']);
    await attached.finished;
    assert.equal(attached.text('stdout'), 'hi\nlate\n');
    assert.equal(attached.stdout.ended!.closed, true);
  });

  it('tell the end of output when the drain asked for runs out, and by whom it is held', async () => {
    const ref = await sh('sleep 30 & echo hi');
    const attached = await processes.attach({ ref, stdout: READ, drainMs: 200 });
    await attached.finished;
    assert.deepEqual([attached.stdout.ended!.closed, attached.text('stdout')], [false, 'hi\n']);
    assert.deepEqual(
      attached.stdout.ended!.holders.map(({ command }) => command),
      ['sleep'],
    );
    await processes.signal({ ref, signal: SIGKILL, scope: SCOPE_TREE });
  });

  it('are killed as a tree, whatever they do to get away; the leader alone otherwise', async () => {
    const ref = await sh(`setsid sh -c 'trap "" TERM; (setsid sleep 1000 &) ; sleep 1000' & echo ready; sleep 1000`);
    const attached = await processes.attach({ ref, stdout: READ });
    await attached.until(() => attached.text('stdout') === 'ready\n', 'it is up');
    for (let tries = 0; (await alive(ref)) < 4 && tries < 200; tries++) await sleep(5);
    await processes.signal({ ref, signal: SIGTERM, scope: SCOPE_LEADER });
    await attached.until(() => attached.exit !== undefined, 'the leader has gone');
    assert.equal(attached.exit!.signal, SIGTERM);
    await sleep(200);
    assert.ok((await alive(ref)) >= 2, 'what it started lives on');
    const from = performance.now();
    const { survivors } = await processes.signal({ ref, signal: SIGKILL, scope: SCOPE_TREE, graceMs: 1000 });
    assert.deepEqual(survivors, []);
    const tookMs = performance.now() - from;
    console.log(`        nothing alive ${tookMs.toFixed(0)} ms after a tree kill was asked for`);
    assert.ok(tookMs < 100, `nothing alive after ${tookMs} ms`);
    assert.equal(await alive(ref), 0);
    await attached.finished;
  });
});
