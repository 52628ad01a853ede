// File systems that never answer: a FUSE mount whose server reads no request. What waits for one is told so by name, in time;
// the rest of the agent goes on.
import assert from 'node:assert/strict';
import type { grpc } from '#proto/kata.js';
import { hasCode } from '../../agent/errors.ts';
import type { AgentClient } from '../../client/agent-client.ts';
import { createContainer } from '../../client/container.ts';
import { BOOT_TIMEOUT_MS, sharedGuest, type TestGuest } from '../support/guest.ts';
import { type GuestProgram, startInGuest } from '../support/guest-program.ts';
import { guestResources, runInGuest } from '../support/guest-resources.ts';
import { startPodContainer } from '../support/pod-container.ts';

const DEAD = '/run/dead';
/** Opens the device and never reads it; the mount is made where the agent lives. Killed, the kernel ends what waits. */
const SERVER = `mkdir -p ${DEAD}; exec 9<>/dev/fuse; nsenter -t 1 -m mount -i -t fuse -o fd=9,rootmode=40000,user_id=0,group_id=0 dead ${DEAD} && echo ready; exec sleep inf`;
/** More than libuv has threads. */
const STORAGES = 24;

describe('a file system that never answers', function () {
  this.timeout(BOOT_TIMEOUT_MS);
  let guest: TestGuest;
  let client: AgentClient;

  before(async () => {
    guest = await sharedGuest();
    client = await guest.connect('ttrpc');
  });
  after(() => client?.close());

  const inGuest = async (script: string) => (await runInGuest(client, ['sh', '-c', script])).trim();

  it('ends the calls that need it with its name, and holds up no other', async () => {
    await guestResources(guest);
    const before = await guestResources(guest);
    const server: GuestProgram = await startInGuest(client, ['sh', '-c', SERVER]);
    const first = await server.process.stdout[Symbol.asyncIterator]().next();
    assert.equal(Buffer.from(first.value ?? []).toString(), 'ready\n');
    assert.match(await inGuest('grep /run/dead /proc/1/mountinfo'), / fuse dead /);

    const late = (mountPoint: string) => (error: unknown) =>
      hasCode(error, 'deadline_exceeded') && error.message.includes(mountPoint);
    const storages = Array.from({ length: STORAGES }, (_, at): grpc.IStorage => {
      const mountPoint = at % 2 === 0 ? `${DEAD}/${at}` : `/run/hang-${at}`;
      return at % 2 === 0
        ? { driver: 'local', source: 'local', mountPoint }
        : // Its root can be mounted, and hangs at the first look: on a thread of libuv's.
          { driver: 'virtio-fs', source: DEAD, fstype: 'bind', options: ['bind'], mountPoint, fsGroup: { groupId: 7 } };
    });
    const started = performance.now();
    let over = false;
    const hanging = Promise.all(
      storages.map((storage, at) =>
        assert.rejects(startPodContainer(client, `hang-${at}`, { storages: [storage] }), late(storage.mountPoint!)),
      ),
    ).finally(() => {
      over = true;
    });

    const checks: number[] = [];
    let containers = 0;
    await using other = await guest.connect('ttrpc');
    const probing = (async () => {
      while (!over) {
        const asked = performance.now();
        await other.version();
        checks.push(performance.now() - asked);
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    })();
    while (!over) {
      const container = await createContainer(other.kata, { args: ['true'], rootfs: guest.busybox });
      await container.start();
      await container.remove();
      containers++;
    }
    await Promise.all([hanging, probing]);
    checks.sort((one, two) => one - two);
    console.log(
      `      ${STORAGES} given up after ${Math.round(performance.now() - started)} ms; meanwhile ${containers} containers came and went, ` +
        `${checks.length} health calls: median ${checks[checks.length >> 1]!.toFixed(1)} ms, worst ${checks.at(-1)!.toFixed(1)} ms`,
    );
    assert.ok(containers >= 2, `${containers} containers`);

    await server.remove();
    await inGuest(`nsenter -t 1 -m umount -l ${DEAD}; rmdir ${DEAD}`);
    const gone = performance.now();
    for (;;) {
      const after = await guestResources(guest);
      try {
        assert.deepEqual(after, before);
        return;
      } catch (error) {
        if (performance.now() - gone > 20_000) throw error;
      }
    }
  });
});
