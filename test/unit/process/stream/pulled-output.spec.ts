import assert from 'node:assert/strict';
import { Budget } from '../../../../agent/process/stream/budget.ts';
import { OutputLog } from '../../../../agent/process/stream/output-log.ts';
import { type Pulled, PulledOutput } from '../../../../agent/process/stream/pulled-output.ts';
import { MemoryStore, TestClock } from './memory-store.ts';

describe('output that is pulled over answers which may get lost', () => {
  let store: MemoryStore;
  let log: OutputLog;
  let output: PulledOutput;
  beforeEach(() => {
    store = new MemoryStore();
    log = new OutputLog({ store, clock: new TestClock(), budget: new Budget(1 << 30) });
    output = new PulledOutput(log.reader({ primary: true }));
    store.write(Buffer.from('abcdefghi'));
    store.poll();
  });
  const take = (maxBytes: number): Pulled & { text: string } => {
    const pulled = output.take(maxBytes)!;
    return { ...pulled, text: pulled.piece.kind === 'data' ? pulled.piece.data.toString() : pulled.piece.kind };
  };

  it('is acknowledged when an answer has left', () => {
    const first = take(3);
    assert.deepEqual([first.text, log.start], ['abc', 0n]);
    first.settle(true);
    assert.equal(log.start, 3n);
  });

  it('gives what was lost again before anything else, and once', () => {
    const [one, two, three] = [take(3), take(3), take(2)];
    three.settle(true);
    two.settle(false);
    one.settle(true);
    assert.equal(log.start, 3n);
    const again = take(2);
    assert.equal(again.text, 'de');
    assert.equal(take(2).text, 'f');
    assert.equal(take(2).text, 'i');
    again.settle(true);
    again.settle(false);
    assert.equal(log.start, 5n);
  });

  it('gives lost pieces in the order of the stream', () => {
    const [one, two] = [take(3), take(3)];
    two.settle(false);
    one.settle(false);
    assert.deepEqual([take(9).text, take(9).text, take(9).text], ['abc', 'def', 'ghi']);
  });

  it('is ready while something is lost, though nothing new has come', async () => {
    take(9).settle(false);
    await output.ready(new AbortController().signal);
    assert.equal(take(9).text, 'abcdefghi');
  });
});
