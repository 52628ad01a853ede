import assert from 'node:assert/strict';
import { hasCode } from '../../../../agent/errors.ts';
import { StdinLog } from '../../../../agent/process/stream/stdin-log.ts';
import { MemoryStdin } from './memory-store.ts';

const tick = () => new Promise<void>((resolve) => setImmediate(resolve));
const text = (store: MemoryStdin) => Buffer.from(store.read).toString();

describe('standard input', () => {
  let store: MemoryStdin;
  let stdin: StdinLog;
  beforeEach(() => {
    store = new MemoryStdin(8);
    stdin = new StdinLog(store, { limitBytes: 16 });
  });

  it('counts what is accepted and what the process has', async () => {
    assert.equal(await stdin.write(Buffer.from('hello world')), 11n);
    assert.deepEqual([stdin.accepted, stdin.delivered], [11n, 8n]);
    store.take(8);
    store.poll();
    assert.equal(stdin.delivered, 11n);
  });

  it('drops what is repeated, whole or in part', async () => {
    await stdin.write(Buffer.from('abcd'), { offset: 0n });
    assert.equal(await stdin.write(Buffer.from('abcd'), { offset: 0n }), 4n);
    assert.equal(await stdin.write(Buffer.from('cdef'), { offset: 2n }), 6n);
    store.take(10);
    assert.equal(text(store), 'abcdef');
  });

  it('refuses a hole and names the offset it wants', async () => {
    await stdin.write(Buffer.from('abcd'));
    await assert.rejects(
      stdin.write(Buffer.from('x'), { offset: 6n }),
      (error) => hasCode(error, 'out_of_range') && error.fields['wanted'] === 4n,
    );
    assert.throws(
      () => stdin.close(5n),
      (error) => hasCode(error, 'out_of_range'),
    );
    stdin.close(4n);
    assert.equal(stdin.state, 'closed');
  });

  it('takes writes that were sent before the first of them was accepted', async () => {
    const writes = [0n, 20n, 40n].map((offset) => stdin.write(Buffer.alloc(20, 'x'), { offset }));
    for (let i = 0; i < 20; i++) {
      store.take(8);
      store.poll();
      await tick();
    }
    assert.deepEqual(await Promise.all(writes), [20n, 40n, 60n]);
    assert.equal(store.read.length, 60);
  });

  it('makes only its own writer wait, within its bound', async () => {
    let accepted = false;
    const write = stdin.write(Buffer.alloc(100, 'x')).then(() => {
      accepted = true;
    });
    await tick();
    assert.equal(accepted, false);
    assert.ok(stdin.accepted - stdin.delivered <= 16n);
    while (!accepted) {
      store.take(8);
      store.poll();
      await tick();
    }
    await write;
    assert.ok(store.most <= 16);
  });

  it('gives up a write that its caller gives up, having accepted a known part of it', async () => {
    const controller = new AbortController();
    const write = stdin.write(Buffer.alloc(100, 'x'), { signal: controller.signal });
    const next = stdin.write(Buffer.from('yyy'));
    controller.abort(new Error('gone'));
    await assert.rejects(write, /gone/);
    assert.equal(stdin.accepted, 24n);
    store.take(8);
    store.poll();
    assert.equal(await next, 27n);
  });

  it('ends after what was accepted', async () => {
    await stdin.write(Buffer.from('hello world'));
    stdin.close();
    stdin.close();
    assert.equal(store.closed, false);
    await assert.rejects(stdin.write(Buffer.from('x')), (error) => hasCode(error, 'failed_precondition'));
    store.take(8);
    store.poll();
    assert.equal(store.closed, true);
    store.take(8);
    assert.equal(text(store), 'hello world');
  });

  it('tells of a reader that has gone, and fails nothing but the writes', async () => {
    const seen: string[] = [];
    stdin.onChange(() => seen.push(`${stdin.state} ${stdin.delivered}`));
    const stuck = stdin.write(Buffer.alloc(30, 'x'));
    store.readerGone = true;
    store.poll();
    await assert.rejects(stuck, (error) => hasCode(error, 'failed_precondition'));
    assert.deepEqual(seen, ['open 8', 'refused 8']);
    assert.equal(store.closed, true);
  });

  it('refuses more waiting writes than its bound', async () => {
    const waiting = Array.from({ length: 65 }, () => stdin.write(Buffer.alloc(30)));
    const outcomes = Promise.allSettled(waiting);
    stdin.destroy();
    const reasons = (await outcomes).map((outcome) => (outcome.status === 'rejected' ? outcome.reason.code : 'ok'));
    assert.equal(reasons.at(-1), 'resource_exhausted');
    assert.equal(reasons.filter((reason) => reason === 'failed_precondition').length, 64);
  });
});
