// What a pod costs the host: bounds well above the figures of `npm run bench:density`, so that a loss of the means is seen.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { guestUse, hostUse } from '../bench/density/probe.ts';
import { totalOf } from '../bench/density/smaps-parts.ts';
import { BOOT_TIMEOUT_MS, sharedGuest, type TestGuest } from '../support/guest.ts';
import { runInGuest } from '../support/guest-resources.ts';

const FILL_MIB = 128;
/** The guest tells of free memory every two seconds (mm/page_reporting.c). */
const PATIENCE_MS = 60_000;
const POLL_MS = 500;
const MIB = 1024;

describe('the memory of a pod', function () {
  this.timeout(BOOT_TIMEOUT_MS);
  let guest: TestGuest;

  before(async () => {
    guest = await sharedGuest();
  });

  it('is less than 96 MiB in the guest, of which the agent has at most 32 to itself', async () => {
    await using client = await guest.connect('ttrpc');
    const { usedKib, agent } = await guestUse(client, 6);
    const { privateDirty } = totalOf(agent);
    console.log(
      `      ${(usedKib / MIB).toFixed(1)} MiB used in the guest, the agent's own ${(privateDirty / MIB).toFixed(1)} MiB`,
    );
    assert.ok(usedKib < 96 * MIB, `${usedKib} KiB`);
    assert.ok(privateDirty < 32 * MIB, `${privateDirty} KiB`);
  });

  it('goes back to the host when the guest has freed it', async () => {
    await using client = await guest.connect('ttrpc');
    const touched = async () => (await hostUse(guest.guest.pid)).guestMemory / MIB;
    const file = '/run/density-fill';
    await runInGuest(client, ['dd', 'if=/dev/zero', `of=${file}`, 'bs=1M', `count=${FILL_MIB}`]);
    const filled = await touched();
    await runInGuest(client, ['rm', file]);
    const until = performance.now() + PATIENCE_MS;
    let left = await touched();
    for (; left > filled - FILL_MIB / 2 && performance.now() < until; left = await touched()) await sleep(POLL_MS);
    console.log(
      `      ${filled.toFixed(0)} MiB of the guest's memory in the host, ${left.toFixed(0)} after ${FILL_MIB} were freed`,
    );
    assert.ok(left <= filled - FILL_MIB / 2, `${filled} MiB, still ${left}`);
  });
});
