import assert from 'node:assert/strict';
import { summarise } from '../../bench/report/summary.ts';

describe('a summary of samples', () => {
  it('has the middle one as median, or the mean of the middle two', () => {
    assert.equal(summarise([5, 1, 3]).median, 3);
    assert.equal(summarise([4, 1, 3, 2]).median, 2.5);
    assert.equal(summarise([7]).median, 7);
  });

  it('has the 99th percentile by nearest rank', () => {
    const oneTo200 = Array.from({ length: 200 }, (_, index) => 200 - index);
    assert.equal(summarise(oneTo200).p99, 198);
    assert.equal(summarise([1, 2, 3]).p99, 3);
  });

  it('counts from the other end where more is better', () => {
    assert.equal(summarise([10, 30, 20], 'more').p99, 10);
  });

  it('orders numbers as numbers and leaves the samples as they are', () => {
    const samples = [100, 9, 20];
    assert.equal(summarise(samples).median, 20);
    assert.deepEqual(samples, [100, 9, 20]);
  });

  it('refuses to sum up nothing', () => {
    assert.throws(() => summarise([]), RangeError);
  });
});
