import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { LoopDelay } from '../../../agent/sandbox/top.ts';

describe('the delay of the event loop', () => {
  it('is the longest since it was asked for last', async () => {
    const delay = new LoopDelay();
    try {
      await sleep(50);
      delay.takeMax();
      const until = performance.now() + 120;
      while (performance.now() < until);
      await sleep(30);
      const blocked = delay.takeMax();
      assert.ok(blocked >= 100, `${blocked} ms`);
      await sleep(50);
      assert.ok(delay.takeMax() < blocked);
    } finally {
      delay.close();
    }
  });
});
