import assert from 'node:assert/strict';
import { usageTable } from '../../../client/cli/stats.ts';
import { usageBetween, usageOf } from '../../../client/usage.ts';

const counters = (totalUsage: bigint, limit: bigint) => ({
  cpuStats: { cpuUsage: { totalUsage } },
  memoryStats: { usage: { usage: 30n << 20n, limit }, stats: { inactive_file: 10n << 20n } },
  pidsStats: { current: 3n },
  blkioStats: {
    ioServiceBytesRecursive: [
      { op: 'read', value: 4096n },
      { op: 'rios', value: 1n },
      { op: 'Write', value: 512n },
      { op: 'read', value: 4096n },
    ],
  },
});

describe('what a container uses', () => {
  it('is CPU time over the interval, and memory without the droppable cache', () => {
    const before = usageOf(counters(1_000_000_000n, 64n << 20n), 1000);
    const after = usageOf(counters(1_750_000_000n, 64n << 20n), 1500);
    assert.deepEqual(usageBetween('c1', before, after), {
      id: 'c1',
      cpuPercent: 150,
      memoryBytes: 20 << 20,
      memoryLimitBytes: 64 << 20,
      pids: 3,
      blockReadBytes: 8192,
      blockWriteBytes: 512,
    });
  });

  it('has no memory limit where the kernel says max', () => {
    for (const limit of [0n, 18446744073709551615n, 9223372036854771712n]) {
      assert.equal(usageOf(counters(0n, limit), 0).memoryLimitBytes, undefined);
    }
  });

  it('is no CPU without time between the samples, or when the counter was reset', () => {
    const sample = usageOf(counters(5n, 0n), 7);
    assert.equal(usageBetween('c', sample, sample).cpuPercent, 0);
    assert.equal(usageBetween('c', sample, usageOf(counters(1n, 0n), 9)).cpuPercent, 0);
  });

  it('is printed as docker stats does', () => {
    const before = usageOf(counters(0n, 0n), 0);
    const table = usageTable([usageBetween('c1', before, usageOf(counters(123_400_000n, 0n), 1000))]);
    assert.match(
      table,
      /^CONTAINER +CPU % +MEM USAGE \/ LIMIT +MEM % +BLOCK I\/O +PIDS\nc1 +12\.34% +20\.0MiB \/ none +- +8\.00KiB \/ 512B +3\n$/,
    );
  });
});
