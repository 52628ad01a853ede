// A pod with one of everything, and then its agent is killed: what is looked at here is all that agent-death.spec.ts does not load a guest with.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { grpc } from '#proto/kata.js';
import { hasCode } from '../../agent/errors.ts';
import type { Container } from '../../client/api/container.ts';
import { connect, type Guest } from '../../client/api/guest.ts';
import type { Process } from '../../client/api/process.ts';
import type { AgentClient } from '../../client/kata/agent-client.ts';
import { GuestProcess } from '../../client/kata/guest-process.ts';
import { ConfigMap } from '../support/config-map.ts';
import { BOOT_TIMEOUT_MS, bootTestGuest, IMAGES, type TestGuest } from '../support/guest.ts';
import { type GuestResources, guestResources, runInGuest } from '../support/guest-resources.ts';
import { type PodContainer, type PodContainerOptions, podContainer, startPodContainer } from '../support/pod-container.ts';

const MIB = 1024 * 1024;
const SHARE = '/run/kata-containers/shared/containers';
const POD = '/run/pod';
const SHM = '/run/kata-containers/sandbox/shm';
const SANDBOX_STORAGES: grpc.IStorage[] = [
  { driver: 'virtio-fs', source: 'kataShared', fstype: 'virtiofs', options: ['nodev'], mountPoint: SHARE },
  { driver: 'ephemeral', source: 'shm', fstype: 'tmpfs', options: ['mode=1777', 'size=1048576'], mountPoint: SHM },
];
/** Of the pod's containers together. */
const SHARED: PodContainerOptions = {
  sandboxPidns: true,
  storages: [
    { driver: 'ephemeral', source: 'tmpfs', fstype: 'tmpfs', options: ['size=1048576'], mountPoint: `${POD}/memory` },
    { driver: 'local', source: 'local', fstype: 'local', options: ['mode=0777'], mountPoint: `${POD}/local` },
    {
      driver: 'blk',
      source: '/dev/vdc',
      fstype: 'ext4',
      driverOptions: ['create_filesystem'],
      mountPoint: `${POD}/disk`,
    },
    {
      driver: 'watchable-bind',
      source: `${SHARE}/config`,
      fstype: 'bind',
      options: ['rbind', 'rprivate', 'ro'],
      mountPoint: `${SHARE}/watchable/config`,
    },
  ],
  binds: {
    '/memory': `${POD}/memory`,
    '/local': `${POD}/local`,
    '/disk': `${POD}/disk`,
    '/config': `${SHARE}/watchable/config`,
    '/shm': SHM,
  },
};
const NAMESPACES = 'for kind in ipc uts pid; do readlink /proc/1/ns/$kind; done; hostname';
const OOM = 'head -c 100000000 /dev/zero | tail';
const TERMINAL = { containerId: 'app', execId: 'terminal' };
const UNTIL_USR1 = ['sh', '-c', 'trap "exit 3" USR1; while :; do sleep 0.2; done'];
const QUARANTINED = 'journal.0.quarantined\njournal.1.quarantined';
const FILES = 'a-pod\nmemory\nlocal\ndisk\nshm\nshared';
const KILLS = '$(cat $(find /sys/fs/cgroup -type d -name greedy)/memory.events | grep -w oom_kill)';
const AGENT =
  'read -r list < /proc/1/task/1/children; for pid in $list; do read -r name < /proc/$pid/comm; [ "$name" = kata-agent ] && agent=$pid; done; kill -STOP $agent; ';
/** Of the journal only what it says of storages can be read afterwards. */
const DAMAGE_AND_KILL = `${AGENT} LC_ALL=C sed -i -E 's/\\["(container|process|sandbox)"/["\\U\\1"/' /run/berth/journal.?; kill -9 $agent`;
/** Stands still first, until the OOM killer has been there a second time. */
const STOP_AND_KILL =
  `${AGENT} before="${KILLS}"; touch ${POD}/memory/now; ` +
  `tries=0; while [ "${KILLS}" = "$before" ] && [ $tries -lt 80 ]; do sleep 0.2; tries=$((tries+1)); done; kill -9 $agent`;

describe('what the next agent takes over', function () {
  this.timeout(BOOT_TIMEOUT_MS);
  let folder: string;
  let booted: TestGuest;
  let client: AgentClient;
  let guest: Guest;
  let other: Guest;
  let config: ConfigMap;
  let atFirst: GuestResources;
  let filesAtFirst: string;
  let network: unknown;
  let pause: PodContainer;
  let app: PodContainer;
  let greedy: Container;
  let frozen: Container;
  let meanwhile: Process;
  let mine: Process;
  let theirs: Process;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'berth-state-'));
    config = new ConfigMap(join(folder, 'share/config'));
    await config.write({ key: 'one' });
    await mkdir(join(folder, 'share/watchable'));
    const blank = await open(join(folder, 'blank.img'), 'w');
    await blank.truncate(64 * MIB);
    await blank.close();
    booted = await bootTestGuest({
      disks: [{ path: join(IMAGES, 'busybox.erofs'), readonly: true }, { path: join(folder, 'blank.img') }],
      shares: [{ dir: join(folder, 'share'), tag: 'kataShared' }],
    });
    client = await booted.connect('ttrpc');
    await client.kata.createSandbox({ sandboxId: 'pod', hostname: 'a-pod', storages: SANDBOX_STORAGES });
    // What is loaded and made once.
    await (await startPodContainer(client, 'first', SHARED)).remove();
    await client.kata.createSandbox({ sandboxId: 'pod', hostname: 'a-pod', storages: SANDBOX_STORAGES });
    network = await networkOf(client);
    guest = await connect(booted.guest.address, { name: 'one', patienceMs: 120_000 });
    other = await connect(booted.guest.address, { name: 'other', patienceMs: 120_000 });
    // The second is what crun makes at its first update.
    const clean = await guest.run(['sh', '-c', `rm -r ${POD}; mkdir -p /run/crun`]);
    await clean.wait();
    await clean.forget();
    await guestResources(booted);
    [atFirst, filesAtFirst] = [await guestResources(booted), await files()];
    await buildPod();
    assert.equal(await killAgent(STOP_AND_KILL), '');
  });
  after(async () => {
    await other?.close();
    await guest?.close();
    await client?.close();
    await booted?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  });

  async function buildPod(): Promise<void> {
    pause = await startPodContainer(client, 'pause', { sandboxPidns: true, capAdd: ['SYS_ADMIN'] });
    app = await startPodContainer(client, 'app', SHARED);
    await app.shell('for place in memory local disk shm; do echo $place > /$place/file; done');
    await pause.shell('mkdir -p /mnt/data && mount -t tmpfs tmpfs /mnt/data && echo shared > /mnt/data/file');
    const counting = ['sh', '-c', 'n=0; while :; do n=$((n+1)); echo $n > /count; done'];
    frozen = await guest.create({ id: 'frozen', rootfs: booted.busybox, args: counting });
    await frozen.start();
    await frozen.pause();
    greedy = await guest.create({
      id: 'greedy',
      rootfs: booted.busybox,
      args: ['sleep', 'inf'],
      memoryBytes: 32n << 20n,
      mounts: [{ destination: '/memory', source: `${POD}/memory`, type: 'bind', options: ['rbind'] }],
    });
    await greedy.start();
    await starve(greedy);
    meanwhile = await greedy.run(['sh', '-c', `until [ -e /memory/now ]; do sleep 0.1; done; ${OOM}`], { lifetime: 'keep' });
    await client.kata.execProcess({
      ...TERMINAL,
      process: { Args: ['sh'], Cwd: '/', Env: ['PATH=/bin', 'PS1=> '], Terminal: true, ConsoleSize: { Height: 20, Width: 50 } },
    });
    [mine, theirs] = await Promise.all([guest.run(UNTIL_USR1), other.run(UNTIL_USR1)]);
    await guest.lease(3_600_000);
  }

  /** @returns why it is degraded */
  async function killAgent(script: string): Promise<string> {
    const { generation } = await guest.info();
    // Told to begin once its start has been answered: one whose record is lost would be started again, and again kill.
    const killer = await guest.run(['sh', '-c', `read -r go; ${script}`], { lifetime: 'keep', stdin: true });
    await killer.stdin.write('go\n');
    // Nobody may know any more how it ended.
    await killer.wait().catch(() => {});
    await killer.forget().catch(() => {});
    await client.close();
    client = await booted.connect('ttrpc');
    [pause, app] = [podContainer(client, 'pause'), podContainer(client, 'app')];
    const { generation: now, degraded } = await guest.info();
    assert.equal(now, generation + 1);
    return degraded;
  }

  /** A container that comes later is one of the pod. */
  async function joins(id: string): Promise<void> {
    const late = await startPodContainer(client, id, {
      ...SHARED,
      sharedMounts: [{ name: 'data', srcCtr: 'pause', srcPath: '/mnt/data', dstCtr: id, dstPath: '/data' }],
    });
    assert.equal(await late.shell(NAMESPACES), await app.shell(NAMESPACES));
    assert.equal(await late.shell('hostname; cd /; cat memory/file local/file disk/file shm/file data/file'), FILES);
    await config.write({ key: id });
    for (const container of [late, app]) while ((await container.shell('cat /config/key')) !== id) await sleep(200);
    await late.remove();
    assert.equal(await app.shell('cat /memory/file /disk/file /config/key'), `memory\ndisk\n${id}`);
  }

  it('answers what Kata asks of a guest, and has left the network alone', async () => {
    const { agentDetails } = await client.kata.getGuestDetails({});
    assert.equal(agentDetails?.supportsSeccomp, true);
    assert.match((await client.kata.getMetrics({})).metrics, /^kata_agent_scrape_count \d+$/m);
    assert.deepEqual(await networkOf(client), network);
    await client.kata.removeStaleVirtiofsShareMounts({});
    await assert.rejects(client.kata.createSandbox({ sandboxId: 'pod' }), /the sandbox has containers/);
  });

  it('has told of each death by the OOM killer once: before, while no agent was there, and after', async () => {
    assert.equal((await meanwhile.wait()).oomKilled, true);
    await meanwhile.forget();
    await starve(greedy);
    const kills = Number((await inGuest(`echo ${KILLS}`)).split(' ')[1]);
    assert.ok(kills >= 3, `${kills} kills`);
    for (let kill = 0; kill < kills; kill++) assert.equal((await client.kata.getOOMEvent({})).containerId, 'greedy');
    const told: (string | undefined)[] = [];
    for await (const { containerId } of guest.events({ after: 'start', kinds: ['oom.killed'], replayOnly: true }))
      told.push(containerId);
    assert.deepEqual(told, Array(kills).fill('greedy'));
    const more = client.kata.getOOMEvent({}, { timeoutMs: 1_000 });
    await assert.rejects(more, (error) => hasCode(error, 'deadline_exceeded'));
  });

  it('goes on with limits and figures', async () => {
    const { cgroupStats } = await client.kata.statsContainer({ containerId: 'greedy' });
    assert.equal(cgroupStats?.memoryStats?.usage?.limit, 32n << 20n);
    await greedy.update({ memoryBytes: 48n << 20n });
    const updated = await client.kata.statsContainer({ containerId: 'greedy' });
    assert.equal(updated.cgroupStats?.memoryStats?.usage?.limit, 48n << 20n);
    await greedy.remove();
  });

  it('leaves a paused container paused, and lets it go on when asked', async () => {
    assert.equal(await frozen.state(), 'paused');
    await assert.rejects(frozen.run(['true']), (error) => hasCode(error, 'failed_precondition'));
    await frozen.resume();
    const count = async () => Number(Buffer.from(await (await frozen.run(['cat', '/count'])).stdout.bytes()).toString());
    const first = await count();
    while ((await count()) === first) await sleep(100);
    await frozen.remove();
  });

  it("keeps a terminal's size, input and output", async () => {
    const ask = async (line: string) => void (await client.kata.writeStdin({ ...TERMINAL, data: Buffer.from(line) }));
    await client.kata.ttyWinResize({ ...TERMINAL, row: 33, column: 77 });
    await ask('stty size; exit 5\n');
    const { stdout, exitCode } = await new GuestProcess(client.kata, TERMINAL, true).collect();
    assert.match(stdout.toString(), /\r\n33 77\r\n/);
    assert.equal(exitCode, 5);
  });

  it('keeps what clients own, for each of several', async () => {
    for (const process of [mine, theirs]) {
      await process.kill('USR1');
      const ending = await process.wait();
      assert.equal(ending.kind === 'exited' && ending.code, 3, JSON.stringify(ending));
      await process.forget();
    }
    assert.deepEqual((await guest.processes()).length, 0);
  });

  it('takes new containers into the namespaces and storages of the old', () => joins('late'));

  it('finds containers of which the journal tells nothing any more, with their init process, output and storages', async () => {
    const counting = ['sh', '-c', 'n=0; while :; do echo $n; n=$((n+1)); sleep 1; done'];
    const talks = await guest.create({ id: 'talks', rootfs: booted.busybox, args: counting });
    await talks.start();
    const waiting = await guest.create({ id: 'waiting', rootfs: booted.busybox, args: ['sh', '-c', 'exit 7'] });
    assert.match(await killAgent(DAMAGE_AND_KILL), /is damaged; 4 containers are known by crun alone$/);
    const states = (await guest.containers()).map(({ id, state }) => `${id} ${state}`);
    assert.equal(states.length, 4, states.join());
    assert.deepEqual([await talks.state(), await waiting.state()], ['running', 'created']);
    await waiting.start();
    assert.equal((await client.kata.waitProcess({ containerId: 'waiting', execId: 'waiting' })).status, 7);
    const { data } = await client.kata.readStdout({ containerId: 'talks', execId: 'talks', len: 4 });
    assert.equal(Buffer.from(data).toString(), '0\n1\n');
    await client.kata.signalProcess({ containerId: 'talks', execId: '', signal: 9 });
    assert.equal((await client.kata.waitProcess({ containerId: 'talks', execId: 'talks' })).status, 137);
    for (const container of [talks, waiting]) await container.remove();
    await joins('later');
  });

  it('unmounts with the last container what the first had asked for', async () => {
    await app.remove();
    assert.equal(await inGuest(`grep -c -e ' ${POD}' -e watchable /proc/1/mountinfo || true; cat ${POD}/local/file`), '0\nlocal');
    await pause.remove();
  });

  it('leaves nothing, and powers off when asked', async () => {
    await client.kata.createSandbox({ sandboxId: 'pod', hostname: 'a-pod', storages: SANDBOX_STORAGES });
    await inGuest(`rm -r ${POD}`);
    assert.equal(await inGuest('cd /run/berth; ls -d *.quarantined; rm *.quarantined'), QUARANTINED);
    assert.equal(await files(), filesAtFirst);
    const { agentFds, ...left } = await guestResources(booted);
    const { agentFds: fdsAtFirst, ...first } = atFirst;
    // Nobody knows the second killer any more, so nobody removes its cgroup.
    assert.deepEqual(left, { ...first, cgroups: first.cgroups + 1 });
    assert.ok(agentFds <= fdsAtFirst, `${agentFds} fds, ${fdsAtFirst} at first`);
    await client.kata.destroySandbox({});
    const exit = await booted.guest.waitExit();
    assert.equal(exit.code, 0);
  });

  const files = () => inGuest("find /run -xdev | sed 's/probe-[0-9-]*/probe/' | sort");
  const inGuest = async (script: string) => (await runInGuest(client, ['sh', '-c', script])).trim();
});

/** Until the OOM killer has been there. */
async function starve(container: Container): Promise<void> {
  const process = await container.run(['sh', '-c', OOM]);
  assert.equal((await process.wait()).oomKilled, true);
  await process.forget();
}

async function networkOf(client: AgentClient): Promise<unknown> {
  const { Interfaces } = await client.kata.listInterfaces({});
  const { Routes } = await client.kata.listRoutes({});
  return [Interfaces, Routes];
}
