// berth.v1.Processes/Attach end to end: the real agent on this machine, real processes, gRPC over a Unix socket.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { berth } from '#proto/berth.js';
import { type NativeTestAgent, startNativeAgent } from '../support/native-agent.ts';
import { processesAt, type Ref, type TestProcesses } from '../support/processes-client.ts';

const { SCOPE_TREE } = berth.v1.SignalRequest.Scope;
const { Reason } = berth.v1.AttachResponse.StdinFailed;
const SIGKILL = 9;
const MIB = 1024 * 1024;
const READ = { start: true, primary: true, credit: MIB } as const;

describe('being attached to a process', function () {
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
  const kill = (ref: Ref) => processes.signal({ ref, signal: SIGKILL, scope: SCOPE_TREE });

  describe('to its output', () => {
    it('gives a flood whole', async () => {
      const bytes = 64 * MIB;
      const attached = await processes.attach({ ref: await sh(`yes berth | head -c ${bytes}`), stdout: READ });
      await attached.finished;
      const hash = createHash('sha256');
      for (const chunk of attached.stdout.chunks) hash.update(chunk);
      const expected = createHash('sha256');
      const block = Buffer.from('berth\n'.repeat(MIB / 4));
      for (let left = bytes; left > 0; left -= block.length) expected.update(block.subarray(0, left));
      assert.equal(hash.digest('hex'), expected.digest('hex'));
    });

    it('sends no more than there is credit for, and is told the exit all the same', async () => {
      const ref = await sh('head -c 100000 /dev/zero');
      const attached = await processes.attach({ ref, stdout: { ...READ, credit: 1000 } });
      attached.stopReading();
      await attached.until(() => attached.exit !== undefined, 'the exit was told');
      await sleep(50);
      assert.equal(attached.stdout.offset, 1000n);
      await attached.stream.send({ credit: { stream: 1, bytes: 500 } });
      await attached.until(() => attached.stdout.offset === 1500n, 'the credit was used');
      await attached.stream.send({ credit: { stream: 1, bytes: MIB } });
      attached.stream.end();
      await attached.finished;
      assert.equal(attached.stdout.offset, 100_000n);
    });

    it('goes on where an earlier call was cut off, and loses and repeats no byte', async () => {
      const ref = await sh('i=0; while [ $i -lt 20000 ]; do echo $i; i=$((i+1)); done');
      const expected = Array.from({ length: 20_000 }, (_, index) => `${index}\n`).join('');
      let text = '';
      for (let cuts = 0; text.length < expected.length; cuts++) {
        const attached = await processes.attach({ ref, stdout: { offset: BigInt(text.length), primary: true, credit: MIB } });
        const wanted = cuts < 20 ? 1 + Math.floor(Math.random() * 5000) : expected.length;
        await attached.until(
          () => attached.text('stdout').length >= Math.min(wanted, expected.length - text.length),
          'some came',
        );
        attached.cancel();
        text += attached.text('stdout');
      }
      assert.equal(text, expected);
    });

    it('holds back a process that nobody reads, and another reader is none the worse for one that has stopped', async () => {
      const ref = await sh('yes', { stdout: { delivery: berth.v1.Delivery.DELIVERY_LATEST } });
      const [slow, quick] = await Promise.all([
        processes.attach({ ref, stdout: { ...READ, primary: false } }),
        processes.attach({ ref, stdout: READ }),
      ]);
      await slow.until(() => slow.stdout.offset > 0n, 'both read');
      slow.stopReading();
      await slow.until(() => slow.stdout.offset >= BigInt(MIB), 'the slow one has used its credit');
      const from = quick.stdout.offset;
      await quick.until(() => quick.stdout.offset > from + BigInt(4 * MIB), 'the quick one goes on');
      await sleep(50);
      const at = slow.stdout.offset;
      const before = slow.stdout.gaps.length;
      await slow.stream.send({ credit: { stream: 1, bytes: 10 } });
      await slow.until(() => slow.stdout.gaps.length > before, 'what it missed was told');
      const [gapFrom, to] = slow.stdout.gaps[before]!;
      await slow.until(() => slow.stdout.offset === to + 10n, 'it goes on behind the gap');
      assert.deepEqual([gapFrom, slow.stdout.gaps.length], [at, before + 1]);
      for (const attached of [slow, quick]) attached.cancel();
      await kill(ref);
    });

    it('keeps what the primary reader has not acknowledged', async () => {
      const ref = await sh('head -c 300000 /dev/zero; echo end', { stdout: { historyBytes: 0 } });
      const first = await processes.attach({ ref, stdout: { ...READ, credit: 100_000 } });
      first.stopReading();
      await first.until(() => first.stdout.offset === 100_000n, 'it has read');
      first.cancel();
      const again = await processes.attach({ ref, stdout: { acknowledged: true, primary: true, credit: MIB } });
      await again.finished;
      assert.equal(again.text('stdout').length, 300_004);
      assert.deepEqual(again.stdout.gaps, []);
    });

    it('refuses an offset that does not exist yet, and more than one `open`', async () => {
      const ref = await sh('sleep 100');
      const beyond = await processes.attach({ ref, stdout: { offset: 10n, primary: true, credit: 1 } });
      await assert.rejects(beyond.finished, { code: 'out_of_range' });
      const twice = await processes.attach({ ref, stdout: READ });
      await twice.stream.send({ open: { ref } });
      await assert.rejects(twice.finished, { code: 'invalid_argument' });
      await assert.rejects((await processes.attach({ ref: { processId: 'none' } })).finished, { code: 'not_found' });
      await kill(ref);
    });
  });

  describe('to its input', () => {
    it('takes it by offset, drops what repeats, and tells how much it has taken', async () => {
      const attached = await processes.attach({ ref: await sh('cat', { stdin: true }), stdout: READ });
      const say = (offset: bigint, text: string) => attached.stream.send({ stdin: { offset, data: Buffer.from(text) } });
      await say(0n, 'hello ');
      await say(0n, 'hello ');
      await say(3n, 'lo world');
      await attached.until(() => attached.accepted === 11n, 'all was taken');
      await attached.stream.send({ stdinClose: { offset: 11n } });
      await attached.finished;
      assert.equal(attached.text('stdout'), 'hello world');
    });

    it('tells a hole, and the process goes on', async () => {
      const ref = await sh('cat', { stdin: true });
      const attached = await processes.attach({ ref, stdout: READ });
      await attached.stream.send({ stdin: { offset: 5n, data: Buffer.from('x') } });
      await attached.until(() => attached.stdinFailed !== undefined, 'it was told');
      assert.deepEqual([attached.stdinFailed!.reason, attached.stdinFailed!.offset], [Reason.REASON_HOLE, 0n]);
      attached.cancel();
      const again = await processes.attach({ ref, stdout: READ });
      await again.stream.send({ stdin: { offset: 0n, data: Buffer.from('x') } });
      await again.stream.send({ stdinClose: { offset: 1n } });
      await again.finished;
      assert.equal(again.text('stdout'), 'x');
    });

    it('tells of a reader that leaves early; the process ends as it would have', async () => {
      const ref = await sh('head -c 3; exec <&-; sleep 0.2; exit 5', { stdin: true });
      const attached = await processes.attach({ ref, stdout: READ });
      let offset = 0n;
      while (attached.stdinFailed === undefined && attached.exit === undefined) {
        if (offset - attached.accepted <= 128n * 1024n) {
          await attached.stream.send({ stdin: { offset, data: Buffer.alloc(32 * 1024, 'x') } }).catch(() => {});
          offset += 32n * 1024n;
        } else await sleep(1);
      }
      assert.equal(attached.stdinFailed?.reason, Reason.REASON_READER_GONE);
      await attached.finished;
      assert.deepEqual([attached.text('stdout'), attached.exit!.code], ['xxx', 5]);
    });

    it('holds back a writer by what it has taken, and hears everything else meanwhile', async () => {
      const ref = await sh('sleep 0.5; cat | wc -c', { stdin: true });
      const attached = await processes.attach({ ref, stdout: READ });
      await attached.until(() => attached.opened !== undefined, 'it is open');
      const total = 2 * MIB;
      for (let offset = 0; offset < total; ) {
        const room = attached.opened!.stdinWindow - (offset - Number(attached.accepted));
        if (room <= 0) {
          await sleep(1);
          continue;
        }
        const data = Buffer.alloc(Math.min(room, 64 * 1024, total - offset), 'y');
        await attached.stream.send({ stdin: { offset: BigInt(offset), data } });
        offset += data.length;
      }
      await attached.stream.send({ stdinClose: { offset: BigInt(total) } });
      await attached.finished;
      assert.equal(attached.text('stdout').trim(), String(total));
    });

    it('ends the call of a writer that heeds no window', async () => {
      const ref = await sh('sleep 100', { stdin: true });
      const attached = await processes.attach({ ref });
      for (let sent = 0; sent < 12; sent++) {
        await attached.stream
          .send({ stdin: { offset: BigInt(sent * 64 * 1024), data: Buffer.alloc(64 * 1024) } })
          .catch(() => {});
      }
      await assert.rejects(attached.finished, { code: 'resource_exhausted' });
      await kill(ref);
    });

    it('is at its end at once for a process that was given none', async () => {
      const { stdout, exit } = await processes.collect(await sh('cat; echo done'));
      assert.deepEqual([stdout, exit.code], ['done\n', 0]);
    });
  });

  it('gives a terminal its size before the program looks, and when it changes', async () => {
    const script = 'trap "stty size; exit 0" WINCH; stty size; while :; do sleep 0.05; done';
    const { process } = await processes.start({
      program: { args: ['bash', '-c', script], terminal: true, size: { rows: 40, columns: 120 } },
      stdin: true,
    });
    const attached = await processes.attach({ ref: process!.ref!, stdout: READ });
    await attached.until(() => attached.text('stdout').includes('40 120'), 'the first size');
    await attached.stream.send({ resize: { rows: 10, columns: 20 } });
    await attached.until(() => attached.text('stdout').includes('10 20'), 'the second size');
    await attached.finished;
    const pipes = await sh('sleep 100');
    const plain = await processes.attach({ ref: pipes, stdout: READ });
    await plain.stream.send({ resize: { rows: 1, columns: 1 } });
    await assert.rejects(plain.finished, { code: 'failed_precondition' });
    await kill(pipes);
  });
});
