// What a container costs is given back: after hundreds of create, start, exec and remove the guest and the agent hold what
// they held before.
import assert from 'node:assert/strict';
import type { AgentClient } from '../../client/kata/agent-client.ts';
import { createContainer } from '../../client/kata/container.ts';
import { agentMemory } from '../bench/guest/agent-probe.ts';
import { BOOT_TIMEOUT_MS, bootTestGuest, type TestGuest } from '../support/guest.ts';
import { guestResources } from '../support/guest-resources.ts';

const LONG = process.env['BERTH_TEST_LONG'] !== undefined;
const CYCLES = LONG ? 500 : 20;
const AT_A_TIME = 4;
const LOOKS = 5;
/** From here on memory is to stay: what is loaded when first needed is loaded, the compiler is done, most of the event log's room is taken. */
const SETTLED_LOOK = LONG ? 2 : 0;
/** The agent gives memory back some seconds after the last call (agent/guest/trim.ts). */
const IDLE_SECONDS = 8;
/** Of the agent's private memory from then on; the compiler and the heap are not done yet after a few. */
const MAX_GROWTH_MIB = LONG ? 2 : 6;

describe(`${CYCLES} containers made, started, entered and removed`, () => {
  let guest: TestGuest;
  let client: AgentClient;

  before(async function () {
    this.timeout(BOOT_TIMEOUT_MS);
    guest = await bootTestGuest();
    client = await guest.connect('ttrpc');
  });
  after(async () => {
    await client?.close();
    await guest?.[Symbol.asyncDispose]();
  });

  /** Every third one on a terminal, every other exec too: they are made another way. */
  async function cycle(index: number): Promise<void> {
    const container = await createContainer(client.kata, { args: ['cat'], tty: index % 3 === 0, rootfs: guest.busybox });
    try {
      await container.start();
      const process = await container.exec({ args: ['sh', '-c', `echo ${index}; exit ${index % 256}`], tty: index % 2 === 0 });
      const { stdout, exitCode } = await process.collect();
      assert.deepEqual([stdout.toString().trim(), exitCode], [String(index), index % 256]);
    } finally {
      await container.remove();
    }
  }

  async function cycles(first: number, last: number): Promise<void> {
    let next = first;
    const worker = async () => {
      while (next <= last) await cycle(next++);
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, worker));
  }

  it('leave no descriptor, mount, cgroup, zombie or file behind, and no memory of the agent', async function () {
    this.timeout(CYCLES * 5_000 + 120_000);
    const memory = async () => (await agentMemory(client, [IDLE_SECONDS]))[0]!.privateMiB;
    await cycle(0);
    await memory();
    const before = await guestResources(guest);
    const from = performance.now();
    const use: number[] = [];
    for (let look = 0; look < LOOKS; look++) {
      await cycles((CYCLES / LOOKS) * look + 1, (CYCLES / LOOKS) * (look + 1));
      use.push(await memory());
    }
    const seconds = (performance.now() - from) / 1000;
    const after = await guestResources(guest);
    console.log(`      ${CYCLES} cycles in ${seconds.toFixed(0)} s; ${JSON.stringify(after)}`);
    const [settled, last] = [use[SETTLED_LOOK]!, use.at(-1)!];
    console.log(
      `      agent's private memory after each ${CYCLES / LOOKS}: ${use.map((each) => each.toFixed(1)).join(', ')} MiB`,
    );
    assert.deepEqual(after, before);
    assert.equal(after.zombies, 0);
    assert.ok(last - settled <= MAX_GROWTH_MIB, `grew by ${last - settled} MiB`);
  });
});
