// A shim dies. One that comes back within the sandbox's lease finds everything; when none comes, the containers go and the VM powers off.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '../../client/api/guest.ts';
import { BOOT_TIMEOUT_MS, bootTestGuest, type TestGuest } from '../support/guest.ts';
import { JOB, startShim } from '../support/leasing-shim.ts';

const TTL_MS = 8_000;
/** Removal and power-off themselves, on a machine that is slow and busy. */
const POWER_OFF_MS = 60_000;
const CONTAINER = 'leased';

describe('a sandbox with a lease', function () {
  this.timeout(BOOT_TIMEOUT_MS);
  let booted: TestGuest;

  before(async () => {
    booted = await bootTestGuest();
  });
  after(() => booted?.[Symbol.asyncDispose]());

  it('is found whole by a shim that comes back in time, and powered off in time when none does', async () => {
    const { address } = booted.guest;
    const kill = await startShim({ address, ttlMs: TTL_MS, containerId: CONTAINER, rootfs: booted.busybox });
    await kill();
    const diedAt = performance.now();
    await sleep(TTL_MS / 2);
    const guest = await connect(address, { name: 'shim, again', patienceMs: 1_000 });
    await guest.lease(TTL_MS);
    console.log(`        the shim was gone for ${seconds(diedAt)}, its lease is ${TTL_MS / 1000} s`);
    // Longer than what was left of the first lease, so that the second one counts.
    await sleep(0.7 * TTL_MS);
    await guest.lease(TTL_MS);
    const renewedAt = performance.now();
    const container = guest.container(CONTAINER);
    assert.equal(await container.state(), 'running');
    const lines: string[] = [];
    const job = await container.attach(JOB, { primary: true, from: 0n });
    for await (const line of job.stdout.lines()) {
      lines.push(line);
      if (lines.length === 20) break;
    }
    assert.deepEqual(
      lines,
      Array.from({ length: 20 }, (_, index) => `${index + 1}`),
    );

    const told: Promise<string[]> = kindsUntilTheEnd(guest.events({ kinds: ['sandbox.', 'container.'] }));
    const exit = await Promise.race([booted.guest.waitExit(), sleep(TTL_MS + POWER_OFF_MS)]);
    assert.ok(exit, 'the VM is still there');
    const tookMs = performance.now() - renewedAt;
    console.log(`        the VM had powered off ${seconds(renewedAt)} after the last renewal`);
    assert.equal(exit.code, 0);
    assert.ok(tookMs >= TTL_MS, `${tookMs} ms`);
    assert.deepEqual(await told, ['sandbox.lease', 'container.stopped', 'container.deleted']);
    await guest.close();
  });
});

const seconds = (from: number) => `${((performance.now() - from) / 1000).toFixed(1)} s`;

async function kindsUntilTheEnd(events: AsyncIterable<{ kind: string }>): Promise<string[]> {
  const kinds: string[] = [];
  try {
    for await (const { kind } of events) kinds.push(kind);
  } catch {
    // The guest has gone.
  }
  return kinds;
}
