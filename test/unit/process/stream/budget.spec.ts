import assert from 'node:assert/strict';
import { Budget, STREAM_MINIMUM_BYTES } from '../../../../agent/process/stream/budget.ts';
import { OutputLog } from '../../../../agent/process/stream/output-log.ts';
import { MemoryStore, TestClock } from './memory-store.ts';

const KIB = 1024;

function logUnder(budget: Budget, retention: ConstructorParameters<typeof OutputLog>[0]['retention'] = {}) {
  const store = new MemoryStore();
  const log = new OutputLog({ store, clock: new TestClock(), budget, retention });
  const feed = (bytes: number) => {
    store.write(Buffer.alloc(bytes));
    store.poll();
  };
  return { log, store, feed };
}

describe('the budget of logs', () => {
  it('counts what is held, at every level', () => {
    const total = new Budget(1000 * KIB);
    const process = total.child(100 * KIB);
    const { log, feed } = logUnder(process);
    feed(10 * KIB);
    assert.deepEqual([process.held, total.held], [10 * KIB, 10 * KIB]);
    const reader = log.reader({ primary: true });
    reader.tryNext(1 << 20);
    reader.ack(BigInt(4 * KIB));
    assert.deepEqual([process.held, total.held], [6 * KIB, 6 * KIB]);
    log.close();
    assert.deepEqual([process.held, total.held], [0, 0]);
  });

  it('takes acknowledged history first, then the tails of latest, and holds lossless producers back last', () => {
    const total = new Budget(192 * KIB);
    const history = logUnder(total, { history: 64 * KIB });
    const latest = logUnder(total, { mode: 'latest', limit: 64 * KIB });
    const lossless = logUnder(total);
    history.feed(64 * KIB);
    const reader = history.log.reader({ primary: true });
    reader.tryNext(1 << 20);
    reader.ack(reader.offset);
    latest.feed(64 * KIB);
    lossless.feed(64 * KIB);
    assert.equal(total.held, 192 * KIB);
    lossless.feed(64 * KIB);
    assert.deepEqual([history.log.start, latest.log.start], [BigInt(64 * KIB), 0n]);
    lossless.feed(64 * KIB);
    assert.deepEqual([latest.log.start, latest.log.dropped], [BigInt(64 * KIB), BigInt(64 * KIB)]);
    lossless.feed(64 * KIB);
    assert.equal(lossless.log.heldBack, true);
    assert.equal(lossless.log.dropped, 0n);
    assert.ok(total.held <= total.limit);
  });

  it('gives a log the room that its own history made', () => {
    const total = new Budget(64 * KIB, { minimum: 8 * KIB });
    const { log, store, feed } = logUnder(total, { history: 8 * KIB });
    feed(8 * KIB);
    for (const bytes of [56 * KIB, 8 * KIB, 8 * KIB]) logUnder(total).feed(bytes);
    assert.ok(total.held > total.limit);
    const reader = log.reader({ primary: true });
    reader.tryNext(1 << 20);
    reader.ack(reader.offset);
    feed(4 * KIB);
    store.poll();
    assert.deepEqual([log.end, log.heldBack], [BigInt(12 * KIB), false]);
  });

  it('lets a process that was held back for others go on when they give room', () => {
    const total = new Budget(64 * KIB);
    const other = logUnder(total);
    other.feed(64 * KIB);
    const waiting = logUnder(total);
    waiting.feed(64 * KIB);
    waiting.store.poll();
    assert.deepEqual([waiting.log.heldBack, waiting.log.end], [true, BigInt(STREAM_MINIMUM_BYTES)]);
    const reader = other.log.reader({ primary: true });
    reader.tryNext(1 << 20);
    reader.ack(reader.offset);
    assert.equal(waiting.log.heldBack, false);
    waiting.store.poll();
    assert.ok(waiting.log.end > BigInt(STREAM_MINIMUM_BYTES));
  });

  it('starves nobody: a log goes on with its minimum however much the others hold', () => {
    const total = new Budget(64 * KIB);
    const hog = logUnder(total);
    hog.feed(64 * KIB);
    const live = logUnder(total);
    const reader = live.log.reader({ primary: true });
    let got = 0;
    for (let i = 0; i < 50; i++) {
      live.feed(8 * KIB);
      const piece = reader.tryNext(1 << 20);
      if (piece?.kind === 'data') got += piece.data.length;
      reader.ack(reader.offset);
    }
    assert.equal(got, 50 * 8 * KIB);
  });
});
