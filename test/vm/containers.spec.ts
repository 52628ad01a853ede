// What the OCI spec asks for, read back from inside; and the verbs on a running container.
import assert from 'node:assert/strict';
import type { AgentClient } from '../../client/kata/agent-client.ts';
import { type ContainerOptions, createContainer, type KataContainer } from '../../client/kata/container.ts';
import { sharedGuest, type TestGuest } from '../support/guest.ts';
import { runInGuest } from '../support/guest-resources.ts';

describe('a container on a booted guest', () => {
  let guest: TestGuest;
  let client: AgentClient;
  const made: KataContainer[] = [];

  before(async () => {
    guest = await sharedGuest();
    client = await guest.connect('ttrpc');
  });

  after(async () => {
    await client?.close();
  });

  afterEach(async () => {
    for (const container of made.splice(0)) await container.remove();
  });

  async function run(options: Partial<ContainerOptions> = {}): Promise<KataContainer> {
    const container = await createContainer(client.kata, { args: ['sleep', 'inf'], rootfs: guest.busybox, ...options });
    made.push(container);
    await container.start();
    return container;
  }

  async function shell(container: KataContainer, script: string): Promise<string> {
    const process = await container.exec({ args: ['sh', '-c', script] });
    const { stdout, stderr, exitCode } = await process.collect();
    assert.equal(exitCode, 0, `${script}: ${stderr}`);
    return stdout.toString().trim();
  }

  describe('gives its processes', () => {
    it('a root of their own that can be written, and another container does not see', async () => {
      const [one, other] = [await run(), await run()];
      await shell(one, 'echo mine > /written');
      assert.equal(await shell(one, 'cat /written'), 'mine');
      assert.equal(await shell(other, 'ls /written 2>/dev/null || echo none'), 'none');
    });

    it('a pid namespace in which the init process is 1', async () => {
      const container = await run();
      assert.match(await shell(container, 'cat /proc/1/cmdline | tr "\\0" " "'), /sleep inf/);
    });

    it('the hostname of the sandbox', async () => {
      assert.equal(await shell(await run(), 'hostname'), guest.hostname);
    });

    it('the user, groups and working directory asked for', async () => {
      const container = await run({ user: { uid: 1234, gid: 2345, additionalGids: [7, 8] }, cwd: '/tmp' });
      assert.equal(await shell(container, 'id -u; id -g; id -G; pwd'), '1234\n2345\n2345 7 8\n/tmp');
    });

    it('the capabilities asked for and no others', async () => {
      const container = await run({ capDrop: ['ALL'], capAdd: ['CHOWN', 'KILL'] });
      assert.match(await shell(container, 'grep CapEff /proc/self/status'), /0000000000000021$/);
    });

    it('64-bit limits exactly', async () => {
      const memoryBytes = 2n ** 53n + 4096n;
      const container = await run({ memoryBytes });
      assert.equal(await cgroupFile(container, 'memory.max'), memoryBytes.toString());
    });

    it('masked and read-only paths', async () => {
      const container = await run();
      assert.equal(await shell(container, 'cat /proc/kcore | wc -c'), '0');
      assert.equal(
        await shell(container, 'echo x 2>/dev/null > /proc/sys/kernel/domainname && echo written || echo refused'),
        'refused',
      );
    });

    it('no device but the standard ones', async () => {
      const container = await run({ capAdd: ['MKNOD'] });
      assert.equal(await shell(container, 'head -c 3 /dev/zero | wc -c; echo gone > /dev/null'), '3');
      assert.equal(
        await shell(container, 'mknod /disk b 254 0; head -c 1 /disk 2>/dev/null && echo read || echo refused'),
        'refused',
      );
    });

    it('a root that cannot be written when asked so', async () => {
      const container = await run({ readonlyRoot: true });
      assert.equal(await shell(container, 'touch /x 2>/dev/null && echo written || echo refused'), 'refused');
    });
  });

  describe('is signalled', () => {
    it('so that an exec alone gets it, and tells 128 plus its number', async () => {
      const container = await run();
      const process = await container.exec({ args: ['sleep', 'inf'] });
      await process.signal('SIGTERM');
      assert.equal(await process.wait(), 143);
      assert.equal(await shell(container, 'echo up'), 'up');
    });

    it('with SIGTERM to an init without a handler as SIGKILL, since the kernel would drop it', async () => {
      const container = await run();
      await container.signal('SIGTERM');
      assert.equal(await container.init.wait(), 137);
    });

    it('with SIGTERM to an init that handles it as that', async () => {
      const container = await run({ args: ['sh', '-c', 'trap "exit 9" TERM; echo ready; while :; do sleep 0.1; done'] });
      const ready = await client.kata.readStdout({ ...container.init.address, len: 10 });
      assert.equal(Buffer.from(ready.data).toString(), 'ready\n');
      await container.signal('SIGTERM');
      assert.equal(await container.init.wait(), 9);
    });

    it('with SIGKILL so that everything in it dies, whatever it ignores or left behind', async () => {
      const container = await run();
      await shell(container, 'setsid sh -c "trap : TERM; sleep 1000" >/dev/null 2>&1 & echo started');
      const process = await container.exec({ args: ['sh', '-c', 'trap : TERM; while :; do sleep 1; done'] });
      await container.signal('SIGKILL');
      assert.equal(await container.init.wait(), 137);
      assert.equal(await process.wait(), 137);
    });

    it('after its end without an error', async () => {
      const container = await run({ args: ['true'] });
      await container.init.wait();
      await container.signal('SIGTERM');
    });
  });

  it('tells its exit to every waiter, however late', async () => {
    const container = await run({ args: ['sh', '-c', 'exit 42'] });
    const wait = () => client.kata.waitProcess({ containerId: container.id, execId: '' });
    assert.deepEqual(
      (await Promise.all([wait(), wait()])).map(({ status }) => status),
      [42, 42],
    );
    assert.equal((await wait()).status, 42);
  });

  it('stands still while paused, refuses execs, and goes on', async () => {
    const container = await run({ args: ['sh', '-c', 'i=0; while :; do i=$((i+1)); echo $i > /count; sleep 0.05; done'] });
    const count = () => runInGuest(client, ['cat', `/run/kata-containers/${container.id}/rootfs/count`]);
    await shell(container, 'until [ -s /count ]; do sleep 0.05; done');
    await client.kata.pauseContainer({ containerId: container.id });
    const frozen = await count();
    await new Promise((resolve) => setTimeout(resolve, 500));
    assert.equal(await count(), frozen);
    await assert.rejects(container.exec({ args: ['true'] }), /current status is: paused/);
    await assert.rejects(
      client.kata.pauseContainer({ containerId: container.id }),
      /failed to pause container: current status is: paused/,
    );
    await client.kata.resumeContainer({ containerId: container.id });
    await shell(container, `until [ "$(cat /count)" -gt ${frozen.trim()} ]; do sleep 0.05; done`);
  });

  it('takes new limits while it runs', async () => {
    const container = await run({ memoryBytes: 64n << 20n });
    await client.kata.updateContainer({
      containerId: container.id,
      resources: { Memory: { Limit: 128n << 20n }, CPU: { Quota: 50000n, Period: 100000n }, Pids: { Limit: 33n } },
    });
    assert.equal(await cgroupFile(container, 'memory.max'), String(128 << 20));
    assert.equal(await cgroupFile(container, 'cpu.max'), '50000 100000');
    assert.equal(await cgroupFile(container, 'pids.max'), '33');
  });

  it('has its figures told from its cgroup', async () => {
    const container = await run({ memoryBytes: 64n << 20n, pidsLimit: 20 });
    await shell(container, 'i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done');
    const { cgroupStats } = await client.kata.statsContainer({ containerId: container.id });
    assert.ok((cgroupStats?.cpuStats?.cpuUsage?.totalUsage ?? 0n) > 1_000_000n);
    assert.equal(cgroupStats?.memoryStats?.usage?.limit, 64n << 20n);
    assert.ok((cgroupStats?.memoryStats?.usage?.usage ?? 0n) > 0n);
    assert.ok('inactive_file' in (cgroupStats?.memoryStats?.stats ?? {}));
    assert.deepEqual([cgroupStats?.pidsStats?.limit, cgroupStats?.pidsStats?.current], [20n, 1n]);
  });

  it('has each death by the OOM killer told, and no other', async () => {
    const container = await run({ memoryBytes: 32n << 20n });
    const event = client.kata.getOOMEvent({});
    const hungry = await container.exec({ args: ['sh', '-c', 'head -c 100000000 /dev/zero | tail'] });
    await hungry.wait();
    assert.equal((await event).containerId, container.id);
  });

  async function cgroupFile(container: KataContainer, name: string): Promise<string> {
    return (await runInGuest(client, ['sh', '-c', `cat $(find /sys/fs/cgroup -type d -name ${container.id})/${name}`])).trim();
  }
});
