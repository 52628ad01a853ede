import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode } from '../../../../agent/errors.ts';
import { followEvents } from '../../../../client/api/events.ts';
import { Link } from '../../../../client/api/link.ts';
import { Processes } from '../../../../client/api/processes.ts';
import { StartError } from '../../../../client/api/start.ts';
import { FakeGuest, type FakeProcess } from './fake-guest.ts';

const EXITED = Promise.resolve({ code: 3 });
const forever = new Promise<never>(() => {});
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

describe('a process as a program holds it', () => {
  let guest: FakeGuest;
  let link: Link;
  let inGuest: Processes;

  beforeEach(async () => {
    guest = await FakeGuest.start();
    link = await Link.open(guest.proxy.address, { name: 'test', patienceMs: 2_000 });
    inGuest = new Processes(link, '');
  });
  afterEach(async () => {
    await link.close();
    await guest[Symbol.asyncDispose]();
  });

  function has(over: Partial<FakeProcess> = {}): FakeProcess {
    const process: FakeProcess = {
      output: Buffer.from('hello\nworld\n'),
      start: 0,
      input: Buffer.alloc(0),
      inputEnded: false,
      acknowledged: 0n,
      exit: EXITED,
      sent: 0,
      ...over,
    };
    guest.processes.set('p', process);
    return process;
  }

  it('gives its output, and its ending as a value', async () => {
    has();
    const process = await inGuest.run(['echo']);
    assert.equal(await process.stdout.text(), 'hello\nworld\n');
    assert.equal(await process.stderr.text(), '');
    const ending = await process.wait();
    assert.deepEqual([ending.kind, ending.kind === 'exited' && ending.code], ['exited', 3]);
  });

  it('gives lines', async () => {
    has({ output: Buffer.from('a\r\nb\n\nç') });
    const process = await inGuest.run(['x']);
    assert.deepEqual(await Array.fromAsync(process.stdout.lines()), ['a', 'b', '', 'ç']);
  });

  it('loses no byte and gives none twice while the connection breaks again and again', async () => {
    const output = randomBytes(3 * 1024 * 1024);
    has({ output });
    guest.proxy.breakAfter = () => 1_000 + Math.floor(Math.random() * 100_000);
    guest.proxy.cut();
    const process = await inGuest.run(['x']);
    const read = await process.stdout.bytes();
    assert.ok(guest.proxy.breaks > 20, `${guest.proxy.breaks} breaks`);
    assert.equal(read.length, output.length);
    assert.equal(sha256(read), sha256(output));
  });

  it('gets each byte of its input once while the connection breaks', async () => {
    const input = randomBytes(1024 * 1024);
    const fake = has({ output: Buffer.alloc(0), exit: forever });
    const process = await inGuest.run(['x'], { stdin: true });
    const cutting = setInterval(() => guest.proxy.cut(), 30);
    for (let at = 0; at < input.length; at += 10_000) {
      await process.stdin.write(input.subarray(at, at + 10_000));
      await sleep(2);
    }
    clearInterval(cutting);
    await process.stdin.end();
    assert.equal(sha256(fake.input), sha256(input));
    assert.ok(guest.hellos > 3, `${guest.hellos} connections`);
  });

  it('takes no more from the guest than its window while nobody reads, and goes on when somebody does', async () => {
    const fake = has({ output: randomBytes(8 * 1024 * 1024) });
    const process = await inGuest.run(['x']);
    const chunks = process.stdout[Symbol.asyncIterator]();
    await chunks.next();
    await sleep(200);
    assert.ok(fake.sent <= 1024 * 1024 + 16 * 1024, `${fake.sent} bytes came`);
    let length = 0;
    for await (const chunk of process.stdout) length += chunk.length;
    assert.equal(length + 16 * 1024, fake.output.length);
  });

  it('acknowledges what has been read, and only that', async () => {
    const fake = has({ output: randomBytes(2 * 1024 * 1024) });
    const process = await inGuest.run(['x']);
    let read = 0n;
    for await (const chunk of process.stdout) {
      read += BigInt(chunk.length);
      assert.ok(fake.acknowledged <= read);
    }
    await sleep(50);
    assert.equal(fake.acknowledged, read);
  });

  it('acknowledges the little it has read when it waits for more: the guest may wait for just that', async () => {
    const fake = has({ output: Buffer.alloc(5_000), exit: forever, open: true });
    const process = await inGuest.run(['x']);
    const chunks = process.stdout[Symbol.asyncIterator]();
    await chunks.next();
    void chunks.next();
    while (fake.acknowledged < 5_000n) await sleep(5);
    process.detach();
  });

  it('tells of bytes that are gone as a gap, and is no silent about it to who reads bytes', async () => {
    has({ start: 6 });
    const process = await inGuest.attach('p', { from: 2n });
    const pieces = await Array.fromAsync(process.stdout.pieces());
    assert.deepEqual(pieces[0], { kind: 'gap', from: 2n, to: 6n });
    assert.equal(pieces.at(-1)?.kind, 'end');
    const other = await inGuest.attach('p', { from: 2n });
    await assert.rejects(other.stdout.text(), (error) => hasCode(error, 'out_of_range'));
  });

  it('whose reader leaves goes on with a later one where the first stopped', async () => {
    has({ output: randomBytes(100_000) });
    const process = await inGuest.run(['x']);
    let first = 0;
    for await (const chunk of process.stdout) {
      first += chunk.length;
      break;
    }
    assert.equal(process.stdout.offset, BigInt(first));
    const rest = await process.stdout.bytes();
    assert.equal(first + rest.length, 100_000);
  });

  it('that stops reading its input has not failed: writing is refused with the reason', async () => {
    has({ refuseInput: true, exit: forever });
    const process = await inGuest.run(['x'], { stdin: true });
    await process.stdin.write('a');
    while (process.stdin.refusal === undefined) await sleep(5);
    assert.equal(process.stdin.refusal, 'reader-gone');
    await assert.rejects(process.stdin.write('b'), (error) => hasCode(error, 'failed_precondition'));
  });

  it('that cannot be started says at what and why', async () => {
    await assert.rejects(inGuest.run(['missing']), (error) => {
      assert.ok(error instanceof StartError);
      assert.deepEqual([error.stage, error.errno, error.code], ['program', 'ENOENT', 'not_found']);
      return true;
    });
  });

  it('is started once though the answer is lost: the same key is sent again', async () => {
    has();
    guest.proxy.breakAfter = () => 60;
    guest.proxy.cut();
    const running = inGuest.run(['x']);
    await sleep(100);
    guest.proxy.breakAfter = undefined;
    await running;
    assert.equal(new Set(guest.starts.map(({ key }) => key)).size, 1);
  });

  it('is ended with all it started when its owner lets go of it, and left alone once detached', async () => {
    has();
    {
      await using _owned = await inGuest.run(['x']);
    }
    assert.deepEqual(
      guest.signals.map(({ signal, scope }) => [signal, scope]),
      [[9, 2]],
    );
    assert.equal(guest.processes.has('p'), false);
    has();
    {
      await using left = await inGuest.run(['x']);
      left.detach();
    }
    assert.equal(guest.signals.length, 1);
  });

  for (const [onAbort, signal] of [
    ['kill', 9],
    ['terminate', 15],
    ['detach', undefined],
  ] as const) {
    it(`meets an aborted signal with ${onAbort} when that was chosen`, async () => {
      has({ exit: forever });
      const controller = new AbortController();
      await inGuest.run(['x'], { signal: controller.signal, onAbort });
      controller.abort();
      await sleep(100);
      assert.equal(guest.signals[0]?.signal, signal);
    });
  }

  it('fails with unavailable when no agent answers for as long as patience goes', async () => {
    has({ exit: forever, output: Buffer.alloc(0), open: true });
    const process = await inGuest.run(['x']);
    const waiting = [process.wait(), process.stdout.text(), followEvents(link, {}).next()];
    for (const call of waiting) call.catch(() => {});
    await guest[Symbol.asyncDispose]();
    for (const call of waiting) await assert.rejects(call, (error) => hasCode(error, 'unavailable'));
    guest = await FakeGuest.start();
  });

  it('ends its output with unavailable when no agent answers for as long as patience goes', async () => {
    has({ exit: forever, output: Buffer.from('some'), open: true });
    const process = await inGuest.run(['x']);
    const chunks = process.stdout[Symbol.asyncIterator]();
    assert.equal(`${(await chunks.next()).value}`, 'some');
    const next = chunks.next();
    await guest[Symbol.asyncDispose]();
    await assert.rejects(next, (error) => hasCode(error, 'unavailable'));
    guest = await FakeGuest.start();
  });

  it('is a Web stream that can be piped', async () => {
    has({ output: randomBytes(300_000) });
    const process = await inGuest.run(['x']);
    let length = 0;
    await process.stdout.web.pipeTo(
      new WritableStream({
        write: (chunk: Uint8Array) => {
          length += chunk.length;
        },
      }),
    );
    assert.equal(length, 300_000);
  });
});
