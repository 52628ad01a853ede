import assert from 'node:assert/strict';
import { grpc } from '#proto/kata.js';
import { toStatsResponse } from '../../../../agent/api/kata/stats.ts';
import type { ContainerStats } from '../../../../agent/container/cgroup-stats.ts';

const STATS: ContainerStats = {
  cpu: { totalNs: (1n << 64n) - 1n, userNs: 2n, systemNs: 3n, periods: 4n, throttledPeriods: 5n, throttledNs: 6n },
  memory: {
    current: 7n,
    peak: 8n,
    limit: undefined,
    failures: 9n,
    oomKills: 1n,
    stat: new Map([
      ['file', 10n],
      ['kernel', 11n],
      ['anon', 12n],
    ]),
  },
  swap: { current: 13n, peak: 14n, limit: 15n, failures: 16n },
  pids: { current: 17n, limit: undefined },
  io: [
    { major: 254n, minor: 0n, key: 'rbytes', value: 18n },
    { major: 254n, minor: 0n, key: 'wbytes', value: 19n },
    { major: 254n, minor: 0n, key: 'dios', value: 20n },
  ],
  hugetlb: new Map([['2MB', { current: 21n, failures: 22n }]]),
};

describe("a container's figures for Kata's clients", () => {
  const decoded = grpc.StatsContainerResponse.decode(grpc.StatsContainerResponse.encode(toStatsResponse(STATS)).finish());
  const { cpuStats, memoryStats, pidsStats, blkioStats, hugetlbStats } = decoded.cgroupStats!;

  it('survive the wire to the last bit', () => assert.equal(cpuStats?.cpuUsage?.totalUsage, (1n << 64n) - 1n));

  it('tell user from kernel time, and throttled time in nanoseconds', () => {
    assert.equal(cpuStats?.cpuUsage?.usageInUsermode, 2n);
    assert.equal(cpuStats?.cpuUsage?.usageInKernelmode, 3n);
    assert.deepEqual({ ...cpuStats?.throttlingData }, { periods: 4n, throttledPeriods: 5n, throttledTime: 6n });
  });

  it('give no memory limit as the largest number an int64 holds', () => {
    assert.deepEqual({ ...memoryStats?.usage }, { usage: 7n, maxUsage: 8n, failcnt: 9n, limit: 9223372036854775807n });
    assert.deepEqual({ ...memoryStats?.swapUsage }, { usage: 13n, maxUsage: 14n, failcnt: 16n, limit: 15n });
    assert.equal(memoryStats?.kernelUsage?.limit, 18446744073709551615n);
    assert.equal(memoryStats?.kernelUsage?.usage, 11n);
  });

  it('fill the cache from memory.stat, which goes along whole', () => {
    assert.equal(memoryStats?.cache, 10n);
    assert.deepEqual({ ...memoryStats?.stats }, { file: 10n, kernel: 11n, anon: 12n });
  });

  it('give no pids limit as zero', () => assert.deepEqual([pidsStats?.current, pidsStats?.limit ?? 0n], [17n, 0n]));

  it("name I/O by Kata's words", () => {
    assert.deepEqual(
      blkioStats?.ioServiceBytesRecursive?.map(({ op, value, major }) => [op, value, major]),
      [
        ['read', 18n, 254n],
        ['write', 19n, 254n],
        ['dios', 20n, 254n],
      ],
    );
  });

  it('list huge pages by size', () => assert.equal(hugetlbStats?.['2MB']?.usage, 21n));
});
