import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { hasCode } from '../../../agent/errors.ts';
import { Lane } from '../../../agent/guest/lane.ts';

describe('a lane of file operations', () => {
  it('runs so many at a time, and the others in their order', async () => {
    const lane = new Lane({ name: 'test', width: 2, maxWaiting: 10 });
    const begun: number[] = [];
    const ends: (() => void)[] = [];
    const runs = [0, 1, 2, 3].map((index) =>
      lane.run(() => {
        begun.push(index);
        return new Promise<void>((end) => ends.push(end));
      }),
    );
    await turn();
    assert.deepEqual(begun, [0, 1]);
    ends[1]!();
    await runs[1];
    await turn();
    assert.deepEqual(begun, [0, 1, 2]);
    for (const end of ends) end();
    await turn();
    for (const end of ends) end();
    await Promise.all(runs);
    assert.deepEqual(begun, [0, 1, 2, 3]);
  });

  it('has room again after a failure', async () => {
    const lane = new Lane({ name: 'test', width: 1, maxWaiting: 1 });
    await assert.rejects(
      lane.run(() => Promise.reject(new Error('no'))),
      /no/,
    );
    assert.equal(await lane.run(async () => 'yes'), 'yes');
  });

  it('refuses what would wait beyond the bound, by its name', async () => {
    const lane = new Lane({ name: 'file-copies', width: 1, maxWaiting: 1 });
    const { promise: hung, resolve: end } = Promise.withResolvers<void>();
    const first = lane.run(() => hung);
    const second = lane.run(async () => {});
    await assert.rejects(
      lane.run(async () => {}),
      (error) => hasCode(error, 'resource_exhausted') && /file-copies/.test(error.message),
    );
    end();
    await Promise.all([first, second]);
  });

  it('never runs what was given up while it waited, and lets the next one in its place', async () => {
    const lane = new Lane({ name: 'test', width: 1, maxWaiting: 2 });
    const { promise: hung, resolve: end } = Promise.withResolvers<void>();
    const first = lane.run(() => hung);
    const giving = new AbortController();
    const begun: string[] = [];
    const second = assert.rejects(
      lane.run(async () => begun.push('second'), giving.signal),
      /enough/,
    );
    const third = lane.run(async () => begun.push('third'));
    giving.abort(new Error('enough'));
    await second;
    await assert.rejects(
      lane.run(async () => begun.push('late'), giving.signal),
      /enough/,
    );
    end();
    await Promise.all([first, third]);
    assert.deepEqual(begun, ['third']);
  });
});
