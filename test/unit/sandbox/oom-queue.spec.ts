import assert from 'node:assert/strict';
import { hasCode } from '../../../agent/errors.ts';
import { OomQueue } from '../../../agent/sandbox/oom-queue.ts';

const forever = new AbortController().signal;

describe('the queue of out-of-memory events', () => {
  it('gives events in order, those from before the question too', async () => {
    const queue = new OomQueue();
    queue.push('a');
    queue.push('b');
    assert.equal(await queue.next(forever), 'a');
    assert.equal(await queue.next(forever), 'b');
  });

  it('waits for the next event', async () => {
    const queue = new OomQueue();
    const waiting = queue.next(forever);
    queue.push('a');
    assert.equal(await waiting, 'a');
  });

  it('gives an event to one client only', async () => {
    const queue = new OomQueue();
    const first = queue.next(forever);
    const second = queue.next(forever);
    queue.push('a');
    queue.push('b');
    assert.deepEqual(await Promise.all([first, second]), ['a', 'b']);
  });

  it('loses no event to a client that has gone', async () => {
    const queue = new OomQueue();
    const gone = new AbortController();
    const abandoned = queue.next(gone.signal);
    gone.abort(new Error('disconnected'));
    await assert.rejects(abandoned, /disconnected/);
    queue.push('a');
    assert.equal(await queue.next(forever), 'a');
  });

  it('drops the oldest beyond its bound, and counts them', async () => {
    const queue = new OomQueue();
    for (let event = 0; event < 103; event++) queue.push(String(event));
    assert.equal(queue.dropped, 3);
    assert.equal(await queue.next(forever), '3');
  });

  it('fails for everyone who waits or asks once the sandbox is destroyed', async () => {
    const queue = new OomQueue();
    const waiting = queue.next(forever);
    queue.close();
    await assert.rejects(waiting, (error) => hasCode(error, 'internal'));
    await assert.rejects(queue.next(forever), (error) => hasCode(error, 'internal'));
  });
});
