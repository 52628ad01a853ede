import assert from 'node:assert/strict';
import { hasCode } from '../../../../agent/errors.ts';
import { Budget } from '../../../../agent/process/stream/budget.ts';
import type { LogReader, Piece } from '../../../../agent/process/stream/log-reader.ts';
import { MAX_READERS, OutputLog, type OutputLogOptions } from '../../../../agent/process/stream/output-log.ts';
import { MemoryStore, TestClock } from './memory-store.ts';

const KIB = 1024;

function makeLog(options: Partial<OutputLogOptions> = {}) {
  const store = new MemoryStore();
  const clock = new TestClock();
  const budget = new Budget(1 << 30);
  const log = new OutputLog({ store, clock, budget, ...options });
  const say = (text: string) => {
    store.write(Buffer.from(text));
    store.poll();
  };
  return { log, store, clock, budget, say };
}

function shown(piece: Piece | undefined): string {
  if (piece === undefined) return 'nothing';
  if (piece.kind === 'data') return `${piece.offset}:${piece.data}`;
  return piece.kind === 'gap' ? `gap ${piece.from}-${piece.to}` : `end ${piece.reason}`;
}

const next = (reader: LogReader, maxBytes = 100) => shown(reader.tryNext(maxBytes));

describe('the log of an output stream', () => {
  it('gives each reader everything, in pieces no larger than asked for', () => {
    const { log, say } = makeLog();
    const [one, two] = [log.reader(), log.reader()];
    say('abcdef');
    assert.equal(next(one, 4), '0:abcd');
    assert.equal(next(one, 4), '4:ef');
    assert.equal(next(two), '0:abcdef');
    assert.equal(next(two), 'nothing');
  });

  it('wakes who waits, and gives the end again and again', async () => {
    const { log, store, say } = makeLog();
    const reader = log.reader();
    const waiting = reader.next(10);
    say('x');
    assert.equal(shown(await waiting), '0:x');
    const atEnd = reader.next(10);
    store.closeWriters();
    store.poll();
    assert.equal(shown(await atEnd), 'end closed');
    assert.equal(next(reader), 'end closed');
  });

  it('begins where a reader asks: the oldest byte, the newest, an offset, the acknowledged', () => {
    const { log, say } = makeLog({ retention: { history: 2 } });
    const primary = log.reader({ primary: true });
    say('abcdef');
    primary.tryNext(4);
    primary.ack(4n);
    assert.equal(next(log.reader({ from: 'start' })), '2:cdef');
    assert.equal(next(log.reader({ from: 'end' })), 'nothing');
    assert.equal(next(log.reader({ from: 5n })), '5:f');
    assert.equal(next(log.reader({ from: 'ack' })), '4:ef');
    const late = log.reader({ from: 0n });
    assert.equal(next(late), 'gap 0-2');
    assert.equal(next(late), '2:cdef');
  });

  for (const from of [7n, -1n]) {
    it(`refuses a reader at ${from} of six bytes, naming the end`, () => {
      const { log, say } = makeLog();
      say('abcdef');
      assert.throws(
        () => log.reader({ from }),
        (error) => hasCode(error, 'out_of_range') && error.fields['end'] === 6n,
      );
    });
  }

  it('holds the process back while the primary reader has not acknowledged, whatever the others do', () => {
    const { log, store } = makeLog({ retention: { limit: 128 * KIB } });
    const primary = log.reader({ primary: true });
    const follower = log.reader();
    const fill = () => {
      while (store.write(Buffer.alloc(64 * KIB)) > 0) store.poll();
    };
    fill();
    assert.equal(log.end, BigInt(128 * KIB));
    assert.equal(log.heldBack, true);
    follower.tryNext(1 << 20);
    follower.ack(follower.offset);
    primary.tryNext(1 << 20);
    fill();
    assert.equal(log.end, BigInt(128 * KIB), 'given is not acknowledged');
    primary.ack(BigInt(64 * KIB));
    assert.equal(log.heldBack, false);
    store.poll();
    assert.equal(log.end, BigInt(192 * KIB));
  });

  it('keeps what a primary reader left unacknowledged for the one that comes after it', () => {
    const { log, say } = makeLog();
    const first = log.reader({ primary: true });
    say('abcdef');
    first.tryNext(6);
    first.ack(2n);
    first.close();
    say('ghi');
    const second = log.reader({ from: 'ack', primary: true });
    assert.equal(next(second), '2:cdefghi');
    assert.throws(
      () => first.tryNext(1),
      (error) => hasCode(error, 'failed_precondition'),
    );
  });

  it('hears no longer a primary reader whose place was taken', () => {
    const { log, say } = makeLog();
    const first = log.reader({ primary: true });
    say('abcdef');
    first.tryNext(6);
    const second = log.reader({ from: 'ack', primary: true });
    first.ack(6n);
    assert.equal(first.primary, false);
    assert.equal(next(second), '0:abcdef');
  });

  it('tells a follower that fell behind of one gap with its bounds, and goes on after it', () => {
    const { log, say } = makeLog();
    const primary = log.reader({ primary: true });
    const follower = log.reader();
    say('abcdef');
    primary.tryNext(6);
    primary.ack(6n);
    say('ghi');
    assert.equal(next(follower), 'gap 0-6');
    assert.equal(next(follower), '6:ghi');
  });

  it('in mode latest never holds back, and counts what went', () => {
    const { log, store } = makeLog({ retention: { mode: 'latest', limit: 100 } });
    const reader = log.reader();
    for (let i = 0; i < 10; i++) {
      store.write(Buffer.alloc(50, i));
      store.poll();
    }
    assert.equal(log.heldBack, false);
    assert.deepEqual([log.start, log.end, log.dropped], [400n, 500n, 400n]);
    assert.equal(store.log.size, 100);
    assert.equal(next(reader), 'gap 0-400');
  });

  it('in mode discard keeps nothing, and counts', () => {
    const { log, store, budget } = makeLog({ retention: { mode: 'discard' } });
    store.write(Buffer.alloc(5000));
    store.poll();
    assert.deepEqual([log.start, log.end, log.dropped, budget.held], [5000n, 5000n, 5000n, 0]);
  });

  it('refuses an acknowledgement of what was never given', () => {
    const { log, say } = makeLog();
    const reader = log.reader({ primary: true });
    say('abc');
    reader.tryNext(2);
    assert.throws(
      () => reader.ack(3n),
      (error) => hasCode(error, 'out_of_range'),
    );
    reader.ack(2n);
    reader.ack(1n);
    assert.equal(log.start, 2n);
  });

  it('refuses more readers, and more waiting on one, than its bounds', async () => {
    const { log } = makeLog();
    const readers = Array.from({ length: MAX_READERS }, () => log.reader());
    assert.throws(
      () => log.reader(),
      (error) => hasCode(error, 'resource_exhausted') && error.fields['limit'] === 'readers-per-stream',
    );
    const waiting = Array.from({ length: 64 }, () => readers[0]!.next(1));
    await assert.rejects(
      readers[0]!.next(1),
      (error) => hasCode(error, 'resource_exhausted') && error.fields['limit'] === 'reads-per-stream',
    );
    log.close();
    await Promise.all(waiting);
  });

  it('keeps its bytes for the next read when one is given up', async () => {
    const { log, say } = makeLog();
    const reader = log.reader();
    const controller = new AbortController();
    const abandoned = reader.next(10, controller.signal);
    controller.abort(new Error('client gone'));
    await assert.rejects(abandoned, /client gone/);
    say('kept');
    assert.equal(next(reader), '0:kept');
  });

  it('takes up again when memory was short, and loses nothing', () => {
    const { log, store, clock, say } = makeLog();
    const reader = log.reader();
    store.faults = ['error'];
    say('abc');
    assert.equal(log.heldBack, true);
    assert.equal(next(reader), 'nothing');
    clock.advance(100);
    store.poll();
    assert.equal(next(reader), '0:abc');
  });

  describe('when the process has ended and its child holds the pipe', () => {
    it('tells no end without a drain limit', () => {
      const { log, clock, say } = makeLog();
      say('hi');
      log.processExited();
      clock.advance(1e6);
      assert.equal(log.ended, false);
    });

    it('tells the end once the drain limit has passed, after everything that was written', () => {
      const { log, clock, say } = makeLog({ drainMs: 500 });
      const reader = log.reader({ primary: true });
      say('hi');
      log.processExited();
      clock.advance(499);
      assert.equal(log.ended, false);
      clock.advance(1);
      assert.equal(next(reader), '0:hi');
      assert.equal(next(reader), 'end drained');
    });

    it('counts the limit from the last output', () => {
      const { log, clock, say } = makeLog({ drainMs: 500 });
      log.processExited();
      clock.advance(400);
      say('more');
      clock.advance(400);
      assert.equal(log.ended, false);
      clock.advance(700);
      assert.equal(log.ended, true);
    });

    it('still gives what comes late, and does not close the pipe on the writer', () => {
      const { log, store, clock, say } = makeLog({ drainMs: 500 });
      const reader = log.reader({ primary: true });
      log.processExited();
      clock.advance(500);
      assert.equal(next(reader), 'end drained');
      say('late');
      assert.equal(next(reader), '0:late');
      assert.equal(store.closedSource, false);
      store.closeWriters();
      store.poll();
      assert.equal(next(reader), 'end closed');
    });

    it('tells no end while the log is full: the rest is still in the pipe', () => {
      const { log, store, clock } = makeLog({ drainMs: 500, retention: { limit: 64 * KIB } });
      const reader = log.reader({ primary: true });
      for (let i = 0; i < 4; i++) {
        store.write(Buffer.alloc(64 * KIB));
        store.poll();
      }
      log.processExited();
      clock.advance(5000);
      assert.equal(log.ended, false);
      while (reader.tryNext(1 << 20) !== undefined) {
        reader.ack(reader.offset);
        store.poll();
      }
      assert.equal(reader.offset, BigInt(128 * KIB));
      clock.advance(5000);
      assert.equal(next(reader), 'end drained');
    });
  });

  it('lets go of everything once its last byte is acknowledged and its writers have gone', () => {
    const { log, store, budget, say } = makeLog();
    const reader = log.reader({ primary: true });
    say('abc');
    store.closeWriters();
    store.poll();
    assert.deepEqual([store.closedSource, store.closed, log.consumed], [true, false, false]);
    reader.tryNext(10);
    reader.ack(3n);
    assert.deepEqual([store.closed, log.consumed, budget.held], [true, true, 0]);
    assert.equal(next(reader), 'end closed');
  });
});
