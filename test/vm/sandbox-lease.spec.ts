// A shim dies. One that comes back within the sandbox's lease finds everything; when none comes, the containers go and the VM powers off,
// also where the agent has died with it.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '../../client/api/guest.ts';
import { BOOT_TIMEOUT_MS, bootTestGuest, type TestGuest } from '../support/guest.ts';
import { JOB, startShim } from '../support/leasing-shim.ts';

const TTL_MS = 8_000;
/** Removal and power-off themselves, on a machine that is slow and busy. */
const POWER_OFF_MS = 60_000;
const CONTAINER = 'leased';
/** Long enough that the next agent has most of it before it: it gives its clients 10 s in any case. */
const OUTLIVING_TTL_MS = 30_000;
/** Told to begin once its start has been answered: what kills the agent earlier is started again by the next one. */
const KILL_AGENT =
  'read -r go; for pid in $(cat /proc/1/task/1/children); do [ "$(cat /proc/$pid/comm)" = kata-agent ] && kill -9 $pid; done';

describe('a sandbox with a lease', function () {
  this.timeout(BOOT_TIMEOUT_MS);
  let booted: TestGuest;

  beforeEach(async () => {
    booted = await bootTestGuest();
  });
  afterEach(() => booted?.[Symbol.asyncDispose]());

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

    const events: { kind: string }[] = [];
    const told = gather(guest.events({ kinds: ['sandbox.', 'container.'] }), events);
    const exit = await Promise.race([booted.guest.waitExit(), sleep(TTL_MS + POWER_OFF_MS)]);
    assert.ok(exit, 'the VM is still there');
    const tookMs = performance.now() - renewedAt;
    console.log(`        the VM had powered off ${seconds(renewedAt)} after the last renewal`);
    assert.equal(exit.code, 0);
    assert.ok(tookMs >= TTL_MS, `${tookMs} ms`);
    await told;
    assert.deepEqual(
      events.map(({ kind }) => kind),
      ['sandbox.lease', 'container.stopped', 'container.deleted'],
    );
    await guest.close();
  });

  it('ends by the clock of its last renewal, whichever agent is there then', async () => {
    const { address } = booted.guest;
    const kill = await startShim({ address, ttlMs: OUTLIVING_TTL_MS, containerId: CONTAINER, rootfs: booted.busybox });
    const guest = await connect(address, { name: 'who looks on', patienceMs: 60_000 });
    const killer = await guest.run(['sh', '-c', KILL_AGENT], { lifetime: 'keep', stdin: true });
    const events: { kind: string; at: Date }[] = [];
    const told = gather(guest.events({ kinds: ['agent.', 'sandbox.', 'container.'] }), events);
    await kill();
    await killer.stdin.write('go\n');
    const exit = await Promise.race([booted.guest.waitExit(), sleep(OUTLIVING_TTL_MS + POWER_OFF_MS)]);
    assert.equal(exit?.code, 0);
    await told;
    assert.deepEqual(
      events.map(({ kind }) => kind),
      ['agent.recovered', 'sandbox.lease', 'container.stopped', 'container.deleted'],
    );
    const [recovered, ranOut] = events;
    const leftMs = ranOut!.at.getTime() - recovered!.at.getTime();
    console.log(
      `        of a lease of ${OUTLIVING_TTL_MS / 1000} s the next agent had ${(leftMs / 1000).toFixed(1)} s before it`,
    );
    assert.ok(leftMs < OUTLIVING_TTL_MS - 1_000, `${leftMs} ms from the agent's recovery on`);
    await guest.close();
  });
});

const seconds = (from: number) => `${((performance.now() - from) / 1000).toFixed(1)} s`;

/** Ends with the container's removal, which is the last to be told, or with the guest. */
async function gather<Event extends { kind: string }>(events: AsyncIterable<Event>, into: Event[]): Promise<void> {
  try {
    for await (const event of events) {
      into.push(event);
      if (event.kind === 'container.deleted') return;
    }
  } catch {
    // The guest has gone.
  }
}
