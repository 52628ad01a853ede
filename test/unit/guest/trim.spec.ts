import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { IdleTrim } from '../../../agent/guest/trim.ts';

describe('trimming memory when idle', () => {
  let trims: number;
  let idle: IdleTrim;

  beforeEach(() => {
    trims = 0;
    idle = new IdleTrim({ idleMs: 30, trim: () => trims++ });
  });
  afterEach(() => idle.close());

  it('happens once after each stretch of work', async () => {
    idle.touch();
    await sleep(70);
    assert.equal(trims, 1);
    await sleep(70);
    assert.equal(trims, 1);
    idle.touch();
    await sleep(70);
    assert.equal(trims, 2);
  });

  it('waits while work goes on', async () => {
    for (let i = 0; i < 10; i++) {
      idle.touch();
      await sleep(10);
    }
    assert.equal(trims, 0);
  });

  it('does not happen before any work, nor after the end', async () => {
    await sleep(50);
    idle.touch();
    idle.close();
    idle.touch();
    await sleep(50);
    assert.equal(trims, 0);
  });
});
