import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { eachUnlessAborted, unlessAborted } from '../../agent/unless-aborted.ts';

const REASON = new Error('the client has gone');
const never = () => new Promise<never>(() => {});

describe('a wait for work or a signal', () => {
  it('ends as the work does, and leaves no listener on the signal', async () => {
    const { signal } = new AbortController();
    assert.equal(await unlessAborted(Promise.resolve(7), signal), 7);
    await assert.rejects(unlessAborted(Promise.reject(REASON), signal), REASON);
    assert.deepEqual(getEventListeners(signal, 'abort'), []);
  });

  it('ends with the reason of the signal, whether that came before or comes meanwhile', async () => {
    await assert.rejects(unlessAborted(never(), AbortSignal.abort(REASON)), REASON);
    const controller = new AbortController();
    const waiting = assert.rejects(unlessAborted(never(), controller.signal), REASON);
    controller.abort(REASON);
    await waiting;
  });

  it('gives the values of a source in their order, and ends with it', async () => {
    const source = (async function* () {
      yield* [1, 2, 3];
    })();
    assert.deepEqual(await Array.fromAsync(eachUnlessAborted(source, new AbortController().signal)), [1, 2, 3]);
  });

  it('leaves a source that says nothing when the signal comes, without ending it', async () => {
    const controller = new AbortController();
    let ended = false;
    const silent = {
      next: never,
      return: async () => {
        ended = true;
        return { done: true as const, value: undefined };
      },
    };
    const reading = eachUnlessAborted(silent, controller.signal).next();
    controller.abort(REASON);
    await assert.rejects(reading, REASON);
    assert.equal(ended, false);
  });
});
