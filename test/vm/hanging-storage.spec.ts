// A share whose host does not answer: its server is stopped. What waits for it is told so by name, in time; the rest of the
// agent goes on, and what is attached after all once the host is back is taken off again.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { grpc } from '#proto/kata.js';
import { hasCode } from '../../agent/errors.ts';
import type { AgentClient } from '../../client/kata/agent-client.ts';
import { createContainer } from '../../client/kata/container.ts';
import { BOOT_TIMEOUT_MS, bootTestGuest, type TestGuest } from '../support/guest.ts';
import { guestResources, runInGuest } from '../support/guest-resources.ts';
import { startPodContainer } from '../support/pod-container.ts';
import { processesOf } from '../support/processes.ts';

const SHARE = '/run/kata-containers/shared/containers';
/** More than libuv has threads, and fewer than may be attached at a time. */
const STORAGES = 24;
const SETTLE_MS = 20_000;

describe('a share that does not answer', function () {
  this.timeout(BOOT_TIMEOUT_MS);
  let folder: string;
  let guest: TestGuest;
  let client: AgentClient;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'berth-hanging-'));
    guest = await bootTestGuest({ shares: [{ dir: folder, tag: 'kataShared' }] });
    client = await guest.connect('ttrpc');
    const share = { driver: 'virtio-fs', source: 'kataShared', fstype: 'virtiofs', mountPoint: SHARE };
    await client.kata.createSandbox({ sandboxId: 'hanging', storages: [share] });
    // What is loaded and made once: crun's empty directory, the tools of a container.
    await (await startPodContainer(client, 'first')).remove();
    await (await createContainer(client.kata, { args: ['true'], rootfs: guest.busybox })).remove();
  });
  after(async () => {
    await client?.close();
    await guest?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  });

  it('ends the calls that need it with their storage, holds up no other, and leaves nothing behind', async () => {
    await using other = await guest.connect('ttrpc');
    const storages = Array.from({ length: STORAGES }, (_, at): grpc.IStorage => {
      if (at % 4 === 0) return { driver: 'local', source: 'local', mountPoint: `${SHARE}/${at}` };
      // The root of the share can be bound, and hangs when its group is changed: on a thread of libuv's.
      const bind = { driver: 'virtio-fs', source: SHARE, fstype: 'bind', options: ['bind'] };
      return { ...bind, mountPoint: `/run/hang-${at}`, fsGroup: { groupId: 7 } };
    });
    const files = () => runInGuest(client, ['sh', '-c', "find /run -xdev | sed 's/probe-[0-9-]*/probe/' | sort"]);
    await guestResources(guest);
    const [before, filesBefore] = [await guestResources(guest), await files()];
    const servers = processesOf(`${guest.guest.cid}/share-`).filter(({ pid }) => pid !== guest.guest.pid);
    assert.ok(servers.length > 0);

    let over = false;
    let containers = 0;
    const waits: number[] = [];
    const started = performance.now();
    for (const { pid } of servers) process.kill(pid, 'SIGSTOP');
    try {
      const hanging = Promise.all(
        storages.map((storage, at) =>
          assert.rejects(
            startPodContainer(client, `hang-${at}`, { storages: [storage] }),
            (error) => hasCode(error, 'deadline_exceeded') && error.message.includes(`on ${storage.mountPoint}:`),
          ),
        ),
      ).finally(() => {
        over = true;
      });
      const probing = (async () => {
        while (!over) {
          const asked = performance.now();
          await other.version();
          waits.push(performance.now() - asked);
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
    } finally {
      for (const { pid } of servers) process.kill(pid, 'SIGCONT');
    }
    waits.sort((one, two) => one - two);
    console.log(
      `      ${STORAGES} storages given up after ${Math.round(performance.now() - started)} ms; meanwhile ${containers} other containers ` +
        `came and went, and of ${waits.length} health calls the median took ${waits[waits.length >> 1]!.toFixed(1)} ms, the slowest ${waits.at(-1)!.toFixed(1)} ms`,
    );
    assert.ok(containers >= 2, `${containers} containers`);

    for (const end = performance.now() + SETTLE_MS; ; ) {
      try {
        assert.equal(await files(), filesBefore);
        assert.deepEqual(await guestResources(guest), before);
        return;
      } catch (error) {
        if (performance.now() > end) throw error;
      }
    }
  });
});
