// Communication is lost only when the VM or the shim dies: churn, with connections that stay through all of it.
import assert from 'node:assert/strict';
import { type ChurnCounts, churn } from '../support/churn.ts';
import { sharedGuest, type TestGuest } from '../support/guest.ts';
import { guestResources } from '../support/guest-resources.ts';

const DURATION_MS = process.env['BERTH_TEST_LONG'] ? 600_000 : 12_000;
/** What is loaded when first needed has been by then. */
const WARM_UP_MS = 2_000;

describe(`${DURATION_MS / 1000} s of clients that come and go, containers that are made and removed, and streams`, () => {
  let guest: TestGuest;

  before(async () => {
    guest = await sharedGuest();
  });

  it('lose no connection, no answer and no byte, and leave nothing behind', async function () {
    this.timeout(DURATION_MS + 120_000);
    await churn(guest, WARM_UP_MS);
    const before = await guestResources(guest);
    const counts = await churn(guest, DURATION_MS);
    console.log(`        ${describeCounts(counts)}`);
    assert.equal(counts.lost, 0);
    for (const [what, count] of Object.entries(counts)) if (what !== 'lost') assert.ok(count > 0, `${count} ${what}`);
    assert.deepEqual(await guestResources(guest), before);
  });
});

function describeCounts({ connects, calls, cycles, execs, processes, streamedBytes, lost }: ChurnCounts): string {
  const done = `${connects} connections made and closed, ${calls} calls, ${cycles} containers, ${execs} execs, ${processes} processes`;
  return `${done}, ${(streamedBytes / 2 ** 20).toFixed(1)} MiB of output; connections lost: ${lost}`;
}
