// One missed Check makes a Kata host kill the pod. Here it is asked all the time while the agent has the most to do, beside an
// echo program in the same guest: what the machine itself takes falls on both, and what is left is the agent's.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode } from '../../agent/errors.ts';
import type { AgentClient } from '../../client/kata/agent-client.ts';
import { createContainer } from '../../client/kata/container.ts';
import { kataClient } from '../../client/kata/services.ts';
import type { RpcChannel } from '../../client/rpc/channel.ts';
import { openChannel } from '../../client/rpc/open-channel.ts';
import { type RawServer, startRawServer } from '../bench/guest/raw-server.ts';
import { summarise } from '../bench/report/summary.ts';
import { BOOT_TIMEOUT_MS, bootTestGuest, type TestGuest } from '../support/guest.ts';
import { copyFile, SHARE } from '../support/kata-pod.ts';
import { describeTimes, timeDuring } from '../support/latency.ts';
import { processesOf } from '../support/processes.ts';
import { slownessOf } from '../support/slowness.ts';

/** The bound on real hardware (issue 3). */
const BOUND_MS = 50;
/** Kata's own limit is 30 s; here nothing may come near a tenth of it, whatever the machine does. */
const NEVER_MS = 3_000;
const ECHOES = 4;
const CONTAINERS = process.env['BERTH_TEST_LONG'] ? 200 : 20;
const AT_A_TIME = 8;
const FLOW_MIB = process.env['BERTH_TEST_LONG'] ? 100 : 30;
const FLOW_BYTES = FLOW_MIB * 2 ** 20;
const HANG_MS = 5_000;
/** Of containers that never come so far as to need more. */
const SPEC = { Process: { Args: ['true'], Cwd: '/' }, Root: { Path: '/nowhere' }, Linux: {} };

for (const protocol of ['ttrpc', 'grpc'] as const) {
  describe(`Check over ${protocol}, on the one connection that carries everything else too,`, function () {
    this.timeout(600_000);
    let share: string;
    let guest: TestGuest;
    let other: AgentClient;
    let raw: RawServer;
    let channel: RpcChannel;
    let client: ReturnType<typeof kataClient>;
    let boundMs: number;

    before(async function () {
      this.timeout(BOOT_TIMEOUT_MS);
      share = await mkdtemp(join(tmpdir(), 'berth-share-'));
      guest = await bootTestGuest({
        sandbox: false,
        memory: 1024,
        shares: [
          { dir: share, tag: 'kataShared' },
          { dir: share, tag: 'late' },
        ],
      });
      other = await guest.connect('ttrpc');
      const mounted = { driver: 'virtio-fs', source: 'kataShared', fstype: 'virtiofs', options: ['nodev'], mountPoint: SHARE };
      await other.kata.createSandbox({ sandboxId: 'test', storages: [mounted] });
      raw = await startRawServer(other, guest.guest.address);
      const slowness = await slownessOf(other);
      boundMs = BOUND_MS * slowness;
      console.log(
        `      the guest is ${slowness.toFixed(1)} times slower than this machine: ${boundMs.toFixed(0)} ms for ${BOUND_MS}`,
      );
      channel = await openChannel(guest.guest.address, { protocol });
      client = kataClient(channel);
    });

    after(async () => {
      channel?.close();
      await raw?.stop();
      await other?.close();
      await guest?.[Symbol.asyncDispose]();
      if (share !== undefined) await rm(share, { recursive: true, force: true });
    });

    /** Both at the same time; the agent may take so much longer than the echo. */
    async function measure(what: string, work: Promise<unknown>) {
      const [checks, echo] = await Promise.all([
        timeDuring(work, () => client.health.check({})),
        timeDuring(work, () => raw.echo(1)),
      ]);
      console.log(`      Check, ${what}: ${describeTimes(checks)}; echo: ${describeTimes(echo)}`);
      return { checks, echo };
    }

    /** What the echo takes is the machine's share, and a Check does some times as much as an echo. */
    async function watch(what: string, work: Promise<unknown>): Promise<void> {
      const { checks, echo } = await measure(what, work);
      const { p99 } = summarise(checks);
      const bound = boundMs + ECHOES * summarise(echo).p99;
      assert.ok(p99 <= bound, `p99 ${p99} ms, bound ${bound} ms`);
      assert.ok(Math.max(...checks) <= NEVER_MS, `${Math.max(...checks)} ms`);
    }

    async function run(args: string[]) {
      const container = await createContainer(client.agent, { args, rootfs: guest.busybox });
      await container.start();
      return container;
    }

    it('is answered at rest', async () => {
      // The first call over gRPC loads what serves it.
      await measure('warming up', sleep(1_000));
      await watch('at rest', sleep(3_000));
    });

    it('is answered while figures of a frozen cgroup are asked for', async () => {
      const container = await run(['sh', '-c', 'while :; do :; done']);
      const { id: containerId } = container;
      await client.agent.pauseContainer({ containerId });
      const until = performance.now() + 3_000;
      let asked = 0;
      const poll = async () => {
        for (; performance.now() < until; asked++) {
          // On a machine that is busy enough the figures may be late; Check may not.
          await client.agent.statsContainer({ containerId }).catch((error: unknown) => {
            if (!hasCode(error, 'deadline_exceeded')) throw error;
          });
        }
      };
      await watch('figures of a frozen cgroup', Promise.all(Array.from({ length: 4 }, poll)));
      assert.ok(asked > 4);
      await client.agent.resumeContainer({ containerId });
      await container.remove();
    });

    it(`is answered while ${FLOW_MIB} MiB flow`, async () => {
      const container = await run(['dd', 'if=/dev/zero', 'bs=65536', `count=${FLOW_BYTES / 65536}`]);
      let bytes = 0;
      const flow = async () => {
        for await (const chunk of container.init.stdout) bytes += chunk.length;
      };
      await watch(`${FLOW_MIB} MiB of output`, flow());
      assert.equal(bytes, FLOW_BYTES);
      await container.remove();
    });

    it(`is answered while ${CONTAINERS} containers are created and removed`, async () => {
      let left = CONTAINERS;
      const churn = async () => {
        while (left-- > 0) await (await run(['sleep', 'inf'])).remove();
      };
      await watch(
        `${CONTAINERS} containers made and removed, ${AT_A_TIME} at a time`,
        Promise.all(Array.from({ length: AT_A_TIME }, churn)),
      );
    });

    it('is answered while a storage mount hangs with all that touches the share, and so is what touches neither', async () => {
      const container = await run(['sleep', 'inf']);
      const { id: containerId } = container;
      const servers = processesOf(`${guest.guest.cid}/share-`).filter(({ pid }) => pid !== guest.guest.pid);
      assert.ok(servers.length >= 2);
      for (const { pid } of servers) process.kill(pid, 'SIGSTOP');
      const hung: Promise<unknown>[] = [];
      try {
        for (let index = 0; index < 4; index++) {
          const mountPoint = `/run/kata-containers/late-${index}`;
          const late = { driver: 'virtio-fs', source: 'late', fstype: 'virtiofs', mountPoint };
          hung.push(client.agent.createContainer({ containerId: `late-${index}`, storages: [late], OCI: SPEC }));
        }
        for (let index = 0; index < 24; index++) hung.push(copyFile(other, `${SHARE}/file-${index}`, 'text'));
        for (let index = 0; index < 8; index++)
          hung.push(client.agent.getVolumeStats({ volumeGuestPath: `${SHARE}/${index}/..` }));
        hung.push(client.agent.removeStaleVirtiofsShareMounts({}));
        for (const each of hung) each.catch(() => {});
        await watch('mounts and copies hang', sleep(HANG_MS));
        // What needs neither is served as ever, files and threads included.
        const from = performance.now();
        await client.agent.statsContainer({ containerId });
        assert.equal((await (await container.exec({ args: ['/bin/true'] })).collect()).exitCode, 0);
        console.log(`      figures and an exec meanwhile: ${(performance.now() - from).toFixed(0)} ms`);
      } finally {
        for (const { pid } of servers) process.kill(pid, 'SIGCONT');
      }
      await Promise.allSettled(hung);
      await container.remove();
    });
  });
}
