import assert from 'node:assert/strict';
import { formatAge, formatBytes, parseBytes, parseCpuQuota } from '../../../client/quantity.ts';

describe('amounts', () => {
  const sizes: [string, bigint][] = [
    ['1048576', 1048576n],
    ['64m', 67108864n],
    ['64M', 67108864n],
    ['1.5g', 1610612736n],
    ['1GiB', 1073741824n],
    ['10kb', 10240n],
    ['8388607t', 8388607n << 40n],
  ];
  for (const [text, bytes] of sizes) it(`reads ${text} as ${bytes} bytes`, () => assert.equal(parseBytes(text, 'memory'), bytes));

  for (const text of ['', 'm', '-1', '1x', '1e9', '0x10', '1.m', '8388608t']) {
    it(`refuses '${text}' as a size`, () => {
      assert.throws(() => parseBytes(text, '--memory'), { code: 'invalid_argument', fields: { field: '--memory' } });
    });
  }

  it('reads CPUs as microseconds in each 100 ms', () => {
    assert.deepEqual(['1', '1.5', '0.01'].map(parseCpuQuota), [100_000, 150_000, 1000]);
  });

  for (const text of ['', '0', '0.001', '-1', 'two', '1e3']) {
    it(`refuses '${text}' as CPUs`, () => assert.throws(() => parseCpuQuota(text), { code: 'invalid_argument' }));
  }

  it('prints sizes with three digits', () => {
    assert.deepEqual([0, 1023, 1024, 1536n, 12_900_000, 1 << 30].map(formatBytes), [
      '0B',
      '1023B',
      '1.00KiB',
      '1.50KiB',
      '12.3MiB',
      '1.00GiB',
    ]);
  });

  it('prints an age in its largest unit', () => {
    const ages = [-5, 999, 1000, 59_999, 60_000, 7_200_000, 200_000_000].map(formatAge);
    assert.deepEqual(ages, [
      'less than a second',
      'less than a second',
      '1 second',
      '59 seconds',
      '1 minute',
      '2 hours',
      '2 days',
    ]);
  });
});
