import assert from 'node:assert/strict';
import { writeSync } from 'node:fs';
import { hasCode } from '../../../agent/errors.ts';
import { WaitingConnections } from '../../../agent/transport/passfd.ts';
import { native } from '../../../native/index.ts';

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe('connections that wait to be asked for', () => {
  let waiting: WaitingConnections;
  let ends: number[] = [];
  const connection = (): [number, number] => {
    const pair = native().socketPair();
    ends.push(pair[1]);
    return pair;
  };
  const closed = (theirs: number) => {
    try {
      writeSync(theirs, 'x');
      return false;
    } catch {
      return true;
    }
  };
  beforeEach(() => {
    waiting = new WaitingConnections({ waitMs: 50, takeMs: 60 });
  });
  afterEach(() => {
    waiting.close();
    for (const fd of ends) native().close(fd);
    ends = [];
  });

  it('are given out by port, once', async () => {
    const [one] = connection();
    const [two] = connection();
    waiting.add(one, 1001);
    waiting.add(two, 1002);
    assert.equal(await waiting.take(1002), two);
    assert.equal(await waiting.take(1001), one);
    await assert.rejects(waiting.take(1001), (error) => hasCode(error, 'invalid_argument') && error.fields['port'] === 1001);
    for (const fd of [one, two]) native().close(fd);
  });

  it('may come a moment after they are asked for', async () => {
    const [fd] = connection();
    const taken = waiting.take(7);
    await pause(10);
    waiting.add(fd, 7);
    assert.equal(await taken, fd);
    native().close(fd);
  });

  it('are closed when nobody asks in time', async () => {
    const [fd, theirs] = connection();
    waiting.add(fd, 7);
    await pause(80);
    assert.equal(waiting.size, 0);
    assert.ok(closed(theirs));
  });

  it('give way to a newer one from the same port', async () => {
    const [old, theirs] = connection();
    const [fresh] = connection();
    waiting.add(old, 7);
    waiting.add(fresh, 7);
    assert.ok(closed(theirs));
    assert.equal(await waiting.take(7), fresh);
    native().close(fresh);
  });

  it('are bounded in number: the oldest goes', () => {
    const first = connection();
    waiting.add(first[0], 1);
    for (let port = 2; port <= 257; port++) waiting.add(connection()[0], port);
    assert.equal(waiting.size, 256);
    assert.ok(closed(first[1]));
  });

  it('are closed with the listener, and so is what comes after', () => {
    const [one, theirOne] = connection();
    const [two, theirTwo] = connection();
    waiting.add(one, 1);
    waiting.close();
    waiting.add(two, 2);
    assert.ok(closed(theirOne) && closed(theirTwo));
  });
});
