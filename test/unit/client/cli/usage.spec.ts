import assert from 'node:assert/strict';
import { berth } from '#proto/berth.js';
import { usageTable } from '../../../../client/cli/stats.ts';
import { usageBetween } from '../../../../client/cli/usage.ts';

const figures = (readUnixMs: bigint, cpuUsageUs: bigint, memoryLimitBytes = 64n << 20n) =>
  new berth.v1.ContainerStats({
    readUnixMs,
    cpuUsageUs,
    memoryBytes: 30n << 20n,
    memoryDroppableBytes: 10n << 20n,
    memoryLimitBytes,
    pids: 3n,
    ioReadBytes: 8192n,
    ioWriteBytes: 512n,
  });

describe('what a container uses', () => {
  it('is CPU time over the interval, and memory without the droppable cache', () => {
    assert.deepEqual(usageBetween('c1', figures(1000n, 1_000_000n), figures(1500n, 1_750_000n)), {
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
      const sample = figures(0n, 0n, limit);
      assert.equal(usageBetween('c', sample, sample).memoryLimitBytes, undefined);
    }
  });

  it('is no CPU without time between the samples, or when the counter was reset', () => {
    const sample = figures(7n, 5n);
    assert.equal(usageBetween('c', sample, sample).cpuPercent, 0);
    assert.equal(usageBetween('c', sample, figures(9n, 1n)).cpuPercent, 0);
  });

  it('is printed as docker stats does', () => {
    const table = usageTable([usageBetween('c1', figures(0n, 0n, 0n), figures(1000n, 123_400n, 0n))]);
    assert.match(
      table,
      /^CONTAINER +CPU % +MEM USAGE \/ LIMIT +MEM % +BLOCK I\/O +PIDS\nc1 +12\.34% +20\.0MiB \/ none +- +8\.00KiB \/ 512B +3\n$/,
    );
  });
});
