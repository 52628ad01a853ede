// Logs on real pipes and terminals: what no simulation can show.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createReadStream, readSync, writeSync } from 'node:fs';
import { hasCode } from '../../../../agent/errors.ts';
import { terminalStdio } from '../../../../agent/process/stdio.ts';
import { Budget, TOTAL_LIMIT_BYTES } from '../../../../agent/process/stream/budget.ts';
import { KernelLog } from '../../../../agent/process/stream/kernel-log.ts';
import { KernelStdin } from '../../../../agent/process/stream/kernel-stdin.ts';
import type { LogReader } from '../../../../agent/process/stream/log-reader.ts';
import { OutputLog, type OutputLogOptions } from '../../../../agent/process/stream/output-log.ts';
import { StdinLog } from '../../../../agent/process/stream/stdin-log.ts';
import { pipeHolders } from '../../../../agent/process/stream/stream-holders.ts';
import { native } from '../../../../native/index.ts';
import { assertNoFdLeak, exitOf, spawn } from '../../native/fixture.ts';

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function logOfPipe(options: Partial<OutputLogOptions> = {}) {
  const [readEnd, writeEnd] = native().pipe();
  const log = new OutputLog({ store: new KernelLog(readEnd), budget: new Budget(TOTAL_LIMIT_BYTES), ...options });
  return { log, readEnd, writeEnd };
}

async function textOf(reader: LogReader, maxBytes = 1 << 20): Promise<string> {
  const piece = await reader.next(maxBytes);
  if (piece.kind !== 'data') return `<${piece.kind}>`;
  reader.ack(reader.offset);
  return piece.data.toString();
}

async function everything(reader: LogReader): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (;;) {
    const piece = await reader.next(30_000);
    if (piece.kind === 'end') return Buffer.concat(parts);
    assert.equal(piece.kind, 'data');
    parts.push(piece.data);
    reader.ack(reader.offset);
  }
}

describe('a stream of a real process', function () {
  this.timeout(20_000);

  it('comes whole through a pipe while the log stays bounded', async () => {
    const { log, writeEnd } = logOfPipe({ retention: { limit: 128 * 1024 } });
    const script = 'for i in $(seq 1 200000); do echo $i; done';
    const child = exitOf(spawn('/bin/sh', ['-c', script], { fds: [-1, writeEnd, -1] }));
    native().close(writeEnd);
    const reader = log.reader({ primary: true });
    let most = 0;
    const parts: Buffer[] = [];
    for (let piece = await reader.next(10_000); piece.kind === 'data'; piece = await reader.next(10_000)) {
      parts.push(piece.data);
      most = Math.max(most, Number(log.end - log.start));
      if (parts.length % 3 === 0) reader.ack(reader.offset);
    }
    assert.equal(Buffer.concat(parts).toString(), Array.from({ length: 200_000 }, (_, at) => `${at + 1}\n`).join(''));
    assert.ok(most <= 128 * 1024, `${most} bytes were held`);
    await child;
    log.close();
  });

  it('waits in the kernel while nobody has taken it', async () => {
    const { log, writeEnd } = logOfPipe();
    spawn('/bin/sh', ['-c', 'head -c 2000000 /dev/zero'], { fds: [-1, writeEnd, -1] });
    native().close(writeEnd);
    while (!log.heldBack) await pause(5);
    assert.equal(log.end, 256n * 1024n);
    assert.equal((await everything(log.reader({ primary: true }))).length, 2_000_000);
    log.close();
  });

  it('comes whole through a terminal, and ends when the last slave closes', async () => {
    const { master, slave } = native().openPty();
    const stdio = terminalStdio({ budget: new Budget(TOTAL_LIMIT_BYTES), output: {} }, master);
    const child = exitOf(spawn('/bin/sh', ['-c', 'seq 1 50000'], { fds: [slave, slave, slave] }));
    native().close(slave);
    const reader = stdio.stdout.reader({ primary: true });
    const text = (await everything(reader)).toString();
    assert.equal(text, Array.from({ length: 50_000 }, (_, at) => `${at + 1}\r\n`).join(''));
    await child;
    await assert.rejects(stdio.stdin.write(Buffer.from('x')), (error) => hasCode(error, 'failed_precondition'));
    stdio.close();
  });

  it('leaves nothing between a terminal and its log, wherever the log begins anew', async () => {
    const { master, slave } = native().openPty();
    native().makeRaw(slave);
    const stdio = terminalStdio({ budget: new Budget(TOTAL_LIMIT_BYTES), output: { stdout: { limit: 4096 } } }, master);
    const reader = stdio.stdout.reader({ primary: true });
    for (let at = 0; at < 10; at++) {
      writeSync(slave, Buffer.alloc(3000, at));
      for (let left = 3000; left > 0; ) {
        const piece = await reader.next(10_000, AbortSignal.timeout(5_000));
        assert.ok(piece.kind === 'data' && piece.data.every((byte) => byte === at));
        left -= piece.data.length;
        reader.ack(reader.offset);
      }
    }
    native().close(slave);
    stdio.close();
  });

  it('takes a paste into a terminal whose program reads late', async () => {
    const { master, slave } = native().openPty();
    native().makeRaw(slave);
    const stdio = terminalStdio({ budget: new Budget(TOTAL_LIMIT_BYTES), output: {} }, master);
    const child = exitOf(spawn('/bin/sh', ['-c', 'sleep 0.3; head -c 65536 | sha1sum'], { fds: [slave, slave, slave] }));
    native().close(slave);
    await stdio.stdin.write(Buffer.alloc(65_536, 'x'));
    const reader = stdio.stdout.reader({ primary: true });
    const digest = createHash('sha1').update(Buffer.alloc(65_536, 'x')).digest('hex');
    assert.ok((await everything(reader)).toString().startsWith(digest));
    await child;
    stdio.close();
  });

  it('gives input to a process at its pace, exactly', async () => {
    const [readEnd, writeEnd] = native().pipe();
    const stdin = new StdinLog(new KernelStdin(writeEnd));
    const sent = Buffer.from(Uint8Array.from({ length: 3_000_000 }, (_, at) => (at * 7 + (at >> 12)) & 0xff));
    const writing = (async () => {
      for (let at = 0; at < sent.length; at += 100_000) {
        assert.equal(await stdin.write(sent.subarray(at, at + 100_000)), BigInt(at + 100_000));
      }
      stdin.close();
    })();
    await pause(50);
    assert.ok(stdin.accepted - stdin.delivered <= 256n * 1024n);
    const parts: Buffer[] = [];
    for await (const chunk of createReadStream('', { fd: readEnd })) parts.push(chunk as Buffer);
    await writing;
    assert.ok(Buffer.concat(parts).equals(sent));
    assert.equal(stdin.delivered, 3_000_000n);
  });

  it('says so, and nothing worse, when the process closes its input early', async () => {
    const [readEnd, writeEnd] = native().pipe();
    const stdin = new StdinLog(new KernelStdin(writeEnd));
    await stdin.write(Buffer.from('taken'));
    native().close(readEnd);
    await assert.rejects(stdin.write(Buffer.from('refused')), (error) => hasCode(error, 'failed_precondition'));
    assert.equal(stdin.state, 'refused');
    await assert.rejects(stdin.write(Buffer.from('again')), /EPIPE/);
  });

  it('wakes a writer that waits when its reader goes', async () => {
    const [readEnd, writeEnd] = native().pipe();
    const stdin = new StdinLog(new KernelStdin(writeEnd));
    const stuck = stdin.write(Buffer.alloc(1 << 20));
    await pause(20);
    native().close(readEnd);
    await assert.rejects(stuck, (error) => hasCode(error, 'failed_precondition'));
  });

  it('is still readable, and its writers alive, after the leader has exited and the drain is over', async () => {
    const { log, writeEnd } = logOfPipe({ drainMs: 50 });
    const background = '(sleep 0.4; echo late; echo alive >&2) & echo hi; exit 3';
    const [errors, errorsIn] = native().pipe();
    const exit = await exitOf(spawn('/bin/sh', ['-c', background], { fds: [-1, writeEnd, errorsIn] }));
    native().close(writeEnd);
    native().close(errorsIn);
    assert.equal(exit.code, 3);
    log.processExited();
    const reader = log.reader({ primary: true });
    assert.equal(await textOf(reader), 'hi\n');
    assert.deepEqual(await reader.next(10), { kind: 'end', offset: 3n, reason: 'drained' });
    const late = await (async () => {
      for (;;) {
        const piece = await reader.next(10);
        if (piece.kind === 'data') return piece.data.toString();
        await pause(20);
      }
    })();
    assert.equal(late, 'late\n');
    const buffer = Buffer.alloc(64);
    assert.equal(buffer.toString('utf8', 0, readSync(errors, buffer)), 'alive\n');
    native().close(errors);
    log.close();
  });

  it('names who holds it open', async () => {
    const { log, readEnd, writeEnd } = logOfPipe({ holders: () => pipeHolders(readEnd) });
    const holder = spawn('/bin/sleep', ['30'], { fds: [-1, writeEnd, -1] });
    const other = spawn('/bin/sleep', ['30']);
    native().close(writeEnd);
    assert.deepEqual(await log.heldBy(), [holder.pid]);
    for (const child of [holder, other]) native().pidfdSendSignal(child.pidfd, 9);
    await Promise.all([exitOf(holder), exitOf(other)]);
    const reader = log.reader();
    assert.equal((await reader.next(10)).kind, 'end');
    assert.deepEqual(await log.heldBy(), []);
    log.close();
  });

  it('names who holds a terminal open', async () => {
    const { master, slave } = native().openPty();
    const stdio = terminalStdio({ budget: new Budget(TOTAL_LIMIT_BYTES) }, master);
    const holder = spawn('/bin/sleep', ['30'], { fds: [slave, -1, -1] });
    native().close(slave);
    assert.deepEqual(await stdio.stdout.heldBy(), [holder.pid]);
    native().pidfdSendSignal(holder.pidfd, 9);
    await exitOf(holder);
    stdio.close();
  });

  it('leaves nothing open', () =>
    assertNoFdLeak(5, async () => {
      const { log, writeEnd } = logOfPipe();
      writeSync(writeEnd, 'some output');
      assert.equal(await textOf(log.reader({ primary: true })), 'some output');
      native().close(writeEnd);
      log.close();
      const [readEnd, inputEnd] = native().pipe();
      const stdin = new StdinLog(new KernelStdin(inputEnd));
      await stdin.write(Buffer.from('some input'));
      stdin.destroy();
      native().close(readEnd);
      const { master, slave } = native().openPty();
      const stdio = terminalStdio({ budget: new Budget(TOTAL_LIMIT_BYTES) }, master);
      await stdio.stdin.write(Buffer.from('typed'));
      native().close(slave);
      stdio.close();
    }));
});
