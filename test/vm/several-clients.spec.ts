// The case the project exists for: many clients at once on connections of their own, and nothing left afterwards.
import assert from 'node:assert/strict';
import type { AgentClient } from '../../client/kata/agent-client.ts';
import { createContainer } from '../../client/kata/container.ts';
import { sharedGuest, type TestGuest } from '../support/guest.ts';
import { guestResources } from '../support/guest-resources.ts';

const CLIENTS = 8;
/** Execs of each client; `npm run test:long` runs the full count. */
const EXECS = process.env['BERTH_TEST_LONG'] ? 50 : 10;
/** Generous: under emulation, other jobs on the machine's cores stretch everything. */
const TIMEOUT_MS = 900_000;

describe(`${CLIENTS} clients on ${CLIENTS} connections`, () => {
  let guest: TestGuest;

  before(async () => {
    guest = await sharedGuest();
  });

  it(`each run a container and ${EXECS} execs, every exit code and output right, and leave nothing behind`, async function () {
    this.timeout(TIMEOUT_MS);
    await oneClient(guest, 99, 2);
    const before = await guestResources(guest);
    await Promise.all(Array.from({ length: CLIENTS }, (_, index) => oneClient(guest, index, EXECS)));
    const after = await guestResources(guest);
    assert.deepEqual(after, before);
    assert.equal(after.zombies, 0);
  });

  it('are answered while the container of another one floods its own', async () => {
    await using busy = await guest.connect('ttrpc');
    await using asking = await guest.connect('ttrpc');
    const container = await createContainer(busy.kata, { args: ['sh', '-c', 'yes | head -c 20000000'], rootfs: guest.busybox });
    await container.start();
    const streaming = container.init.collect();
    for (let call = 0; call < 20; call++) assert.match(await asking.version(), /^\d+\.\d+\.\d+/);
    assert.equal((await streaming).stdout.length, 20_000_000);
    await container.remove();
  });
});

async function oneClient(guest: TestGuest, index: number, execs: number): Promise<void> {
  const protocol = index % 2 === 0 ? 'ttrpc' : 'grpc';
  const client: AgentClient = await guest.connect(protocol);
  try {
    const container = await createContainer(client.kata, { args: ['sleep', 'inf'], rootfs: guest.busybox });
    await container.start();
    for (let exec = 0; exec < execs; exec++) {
      const wanted = (index * execs + exec) % 256;
      const process = await container.exec({
        args: ['sh', '-c', `echo out-${index}-${exec}; echo err-${index}-${exec} >&2; exit ${wanted}`],
      });
      const { stdout, stderr, exitCode } = await process.collect();
      assert.deepEqual(
        [stdout.toString(), stderr.toString(), exitCode],
        [`out-${index}-${exec}\n`, `err-${index}-${exec}\n`, wanted],
      );
    }
    await container.remove();
  } finally {
    await client.close();
  }
}
