import assert from 'node:assert/strict';
import { checkGuest, type GuestInfo, judge } from '../../../../client/doctor/guest-checks.ts';

const well: GuestInfo = {
  agentVersion: '0.1.0',
  features: ['processes', 'events'],
  generation: 1,
  clockUnixMs: 1_000_050n,
  cid: 42,
  cgroupVersion: 2,
  runtimeVersion: 'crun version 1.28',
  kernelRelease: '6.12.0',
  memoryTotalBytes: 512n << 20n,
  memoryAvailableBytes: 300n << 20n,
  entropyBits: 256,
};
/** Asked at second 1000, answered a tenth of a second later. */
const heard = (different: Partial<GuestInfo> = {}) => ({
  info: { ...well, ...different },
  asked: 1_000_000,
  answered: 1_000_100,
});

describe('the doctor of a guest', () => {
  it('tells what the agent is, and finds nothing to do where all is well', () => {
    const findings = judge(heard());
    assert.deepEqual(
      findings.filter(({ status }) => status !== 'ok'),
      [],
    );
    const said = Object.fromEntries(findings.map(({ id, found }) => [id, found]));
    assert.deepEqual(said, {
      agent: 'Berth 0.1.0 on Linux 6.12.0',
      features: 'processes, events',
      restarts: 'the agent has run since the boot',
      clock: '+0 ms, known to 50 ms',
      entropy: '256 bits',
      cid: 'vsock CID 42',
      cgroups: 'version 2',
      crun: 'crun version 1.28',
      memory: '300MiB of 512MiB available',
    });
  });

  for (const [id, different, status, found] of [
    ['restarts', { generation: 3 }, 'warning', /restarted 2 times/],
    ['clock', { clockUnixMs: 998_000n }, 'warning', /-2050 ms, known to 50 ms/],
    ['clock', { clockUnixMs: 1_001_090n }, 'ok', /\+1040 ms/],
    ['entropy', { entropyBits: 12 }, 'warning', /not seeded/],
    ['cid', { cid: 0 }, 'note', /no vsock device/],
    ['cgroups', { cgroupVersion: 1 }, 'problem', /version 1/],
    ['crun', { runtimeVersion: 'crun version 1.8.1' }, 'warning', /older than 1\.28/],
    ['crun', { runtimeVersion: '' }, 'problem', /not found/],
    ['memory', { memoryAvailableBytes: 40n << 20n }, 'warning', /40.0MiB of 512MiB/],
  ] as const) {
    it(`judges ${id}: ${JSON.stringify(different, (_, value) => (typeof value === 'bigint' ? Number(value) : value))}`, () => {
      const finding = judge(heard(different)).find((each) => each.id === id)!;
      assert.equal(finding.status, status);
      assert.match(finding.found, found);
      assert.equal(finding.remedy.length > 0, status === 'warning' || status === 'problem');
    });
  }

  it('says of each protocol that nobody answers', async () => {
    const findings = await checkGuest('unix:///no/such/socket');
    assert.deepEqual(
      findings.map(({ id, status }) => [id, status]),
      [
        ['ttrpc', 'problem'],
        ['grpc', 'problem'],
      ],
    );
  });
});
