// The guest itself as a Kata host drives it, on a booted guest: CPUs, clock, entropy, swap, files, volumes, figures. What a
// call has done is read back with the guest's own tools.
import assert from 'node:assert/strict';
import type { grpc } from '#proto/kata.js';
import { hasCode } from '../../agent/errors.ts';
import { defaultSpec } from '../../client/default-spec.ts';
import type { AgentClient } from '../../client/kata/agent-client.ts';
import { GuestProcess } from '../../client/kata/guest-process.ts';
import { sharedGuest, type TestGuest } from '../support/guest.ts';
import { runInGuest } from '../support/guest-resources.ts';

const SHARE = '/run/kata-containers/shared/containers';
const VOLUME = '/run/kata-containers/sandbox/volume';
const MIB = 1024 * 1024;
const FILE = 0o100640;

describe('the calls of a Kata host on a booted guest', function () {
  this.timeout(120_000);
  let guest: TestGuest;
  let client: AgentClient;
  const made: string[] = [];

  before(async () => {
    guest = await sharedGuest();
    client = await guest.connect('ttrpc');
  });
  after(async () => {
    await inGuest(`rm -rf ${SHARE}`);
    await client?.close();
  });
  afterEach(async () => {
    for (const containerId of made.splice(0)) await client.kata.removeContainer({ containerId });
  });

  const inGuest = async (script: string) => (await runInGuest(client, ['sh', '-c', script])).trim();
  const refusal = (code: Parameters<typeof hasCode>[1], text: string | RegExp) => (error: unknown) =>
    hasCode(error, code) && (typeof text === 'string' ? error.message.includes(text) : text.test(error.message));
  const copy = (path: string, text: string, more: grpc.CopyFileRequest.$Properties = {}) => {
    const data = Buffer.from(text);
    const whole = { path, data, fileSize: BigInt(data.length), fileMode: FILE, dirMode: 0o750, uid: 0, gid: 0 };
    return client.kata.copyFile({ ...whole, ...more });
  };

  /** A container of busybox that sleeps; returns what runs a shell in it. */
  async function startContainer(containerId: string, spec: grpc.Spec.$Properties, storages: grpc.Storage.$Properties[] = []) {
    const bundle = `/run/kata-containers/${containerId}`;
    const base = defaultSpec({ args: ['sleep', 'inf'], rootPath: `${bundle}/rootfs` });
    const root = { driver: 'blk', source: '/dev/vdb', fstype: 'erofs', options: ['ro'], mountPoint: `${bundle}/rootfs` };
    await client.kata.createContainer({
      containerId,
      storages: [root, ...storages],
      OCI: {
        ...base,
        ...spec,
        Mounts: [...(base.Mounts ?? []), ...(spec.Mounts ?? [])],
        Linux: { ...base.Linux, ...spec.Linux },
      },
    });
    made.push(containerId);
    await client.kata.startContainer({ containerId });
    let execs = 0;
    return async (script: string) => {
      const execId = `e${execs++}`;
      const process = { Args: ['sh', '-c', script], Cwd: '/', Env: ['PATH=/bin:/usr/bin'] };
      await client.kata.execProcess({ containerId, execId, process });
      const { stdout, stderr, exitCode } = await new GuestProcess(client.kata, { containerId, execId }, false).collect();
      assert.equal(exitCode, 0, `${script}: ${stderr}`);
      return stdout.toString().trim();
    };
  }

  it('brings CPUs on line up to the total asked for, and a container that may use them gets them', async () => {
    await inGuest('echo 0 > /sys/devices/system/cpu/cpu1/online');
    const shell = await startContainer('cpus', { Linux: { Resources: { CPU: { Cpus: '0-1' } } } });
    assert.equal(await shell('grep Cpus_allowed_list /proc/self/status | cut -f2'), '0');
    await client.kata.onlineCPUMem({ nbCpus: 1, cpuOnly: true });
    assert.equal(await inGuest('cat /sys/devices/system/cpu/online'), '0');
    await client.kata.onlineCPUMem({ nbCpus: 2 });
    assert.equal(await inGuest('cat /sys/devices/system/cpu/online'), '0-1');
    assert.equal(await shell('grep Cpus_allowed_list /proc/self/status | cut -f2'), '0-1');
  });

  it('says how many CPUs did not come, and answers others while it waits', async () => {
    let waiting = true;
    const late = client.kata.onlineCPUMem({ nbCpus: 9, cpuOnly: true }).finally(() => {
      waiting = false;
    });
    const refused = assert.rejects(late, refusal('internal', 'failed to online 7 CPU(s) after 100 retries'));
    await client.version();
    assert.equal(waiting, true);
    await refused;
  });

  it('sets the clock to what the host says', async () => {
    try {
      await client.kata.setGuestDateTime({ Sec: 2_000_000_000n, Usec: 500_000n });
      const now = Number(await inGuest('date +%s'));
      assert.ok(now >= 2_000_000_000 && now < 2_000_000_060, `${now}`);
    } finally {
      await client.kata.setGuestDateTime({ Sec: BigInt(Math.floor(Date.now() / 1000)) });
    }
    await assert.rejects(client.kata.setGuestDateTime({ Usec: 1_000_000n }), refusal('invalid_argument', 'Usec'));
  });

  it('takes entropy, and misses it when there is none', async () => {
    await client.kata.reseedRandomDev({ data: Buffer.alloc(512, 1) });
    await assert.rejects(client.kata.reseedRandomDev({}), refusal('internal', 'missing entropy data'));
  });

  it('adds swap space by its path, and tells what is none', async () => {
    await inGuest('modprobe loop; truncate -s 16M /run/swapfile; losetup /dev/loop7 /run/swapfile; mkswap /dev/loop7');
    await client.kata.addSwapPath({ path: '/dev/loop7' });
    assert.match(await inGuest('cat /proc/swaps'), /^\/dev\/loop7\s/m);
    await inGuest('swapoff /dev/loop7; losetup -d /dev/loop7; rm /run/swapfile');
    await assert.rejects(client.kata.addSwapPath({ path: '/dev/vdb' }), refusal('internal', '/dev/vdb'));
  });

  it('copies files, directories and links into the share with owners and modes', async () => {
    await copy(`${SHARE}/config/..data/key`, 'value\n', { uid: 12, gid: 34, fileMode: 0o100604, dirMode: 0o751 });
    await copy(`${SHARE}/config/key`, '..data/key', { fileMode: 0o120777, uid: 12, gid: 34 });
    await copy(`${SHARE}/config/empty`, '', { fileMode: 0o041770, gid: 34 });
    const listed = await inGuest(`cd ${SHARE}/config && cat key && stat -c '%n %a %u %g' ..data ..data/key empty key .`);
    assert.equal(listed, 'value\n..data 751 12 34\n..data/key 604 12 34\nempty 1770 0 34\nkey 777 12 34\n. 751 0 0');
  });

  it('copies nothing out of the share, by its path or through a link that lies there', async () => {
    await inGuest(`ln -sfn /run/kata-containers ${SHARE}/evil; ln -sfn ../../.. ${SHARE}/climb`);
    for (const path of ['/run/kata-containers/shared/foo', `${SHARE}/../foo`, `${SHARE}/evil/foo`, `${SHARE}/climb/foo`]) {
      await assert.rejects(copy(path, 'x'), refusal('internal', /path|prefix/), path);
    }
    assert.equal(await inGuest('find /run -name foo'), '');
  });

  it('tells how full a volume is, and gives it another size while it is in use', async () => {
    const storage = { driver: 'ephemeral', source: 'tmpfs', fstype: 'tmpfs', mountPoint: VOLUME };
    const mount = { source: VOLUME, destination: '/dev/volume', type: 'bind', options: ['rbind'] };
    const shell = await startContainer('volume', { Mounts: [mount] }, [{ ...storage, options: ['size=4m', 'nosuid'] }]);
    await shell('head -c 1048576 /dev/zero > /dev/volume/data');
    const usage = async () => (await client.kata.getVolumeStats({ volumeGuestPath: VOLUME })).usage;
    const [bytes, inodes] = await usage();
    assert.deepEqual([bytes?.unit, bytes?.total, bytes?.used], [1, BigInt(4 * MIB), BigInt(MIB)]);
    assert.equal(inodes?.unit, 2);
    await client.kata.updateEphemeralMounts({ storages: [{ ...storage, options: ['remount', 'size=8m'] }] });
    assert.equal((await usage())[0]?.total, BigInt(8 * MIB));
    await client.kata.resizeVolume({ volumeGuestPath: VOLUME, size: BigInt(2 * MIB) });
    assert.equal(await shell("df -m /dev/volume | tail -1 | awk '{print $2}'"), '2');
    assert.match(await inGuest(`grep " ${VOLUME} " /proc/1/mountinfo`), /nosuid.*size=2048k/);
    await assert.rejects(client.kata.getVolumeStats({ volumeGuestPath: '/no/volume' }), refusal('internal', 'ENOENT'));
    await assert.rejects(client.kata.resizeVolume({ volumeGuestPath: '/', size: 1n }), refusal('unimplemented', 'erofs'));
  });

  it("gives the host a container's last words, and never more than it wants", async () => {
    const source = `${SHARE}/words`;
    await copy(source, '');
    const annotation = { 'io.kubernetes.container.terminationMessagePath': '/dev/termination-log' };
    const mount = { source, destination: '/dev/termination-log', type: 'bind', options: ['rbind'] };
    const shell = await startContainer('words', { Annotations: annotation, Mounts: [mount] });
    const words = async () => (await client.kata.getDiagnosticData({ logType: 'termination_log', containerId: 'words' })).data;
    assert.equal(await words(), '');
    await shell('echo farewell > /dev/termination-log');
    assert.equal(await words(), 'farewell\n');
    await shell('head -c 100000 /dev/zero | tr "\\0" x > /dev/termination-log');
    assert.equal(await words(), 'x'.repeat(4096));
    await assert.rejects(client.kata.getDiagnosticData({ logType: 'core' }), refusal('invalid_argument', 'log_type: core'));
  });

  for (const protocol of ['ttrpc', 'grpc'] as const) {
    it(`gives figures in Prometheus's format over ${protocol}`, async () => {
      await using other = await guest.connect(protocol);
      const { metrics } = await other.kata.getMetrics({});
      for (const line of [
        /^kata_agent_scrape_count \d+$/m,
        /^kata_agent_threads \d+$/m,
        /^kata_agent_proc_status\{item="vmrss"\} \d+$/m,
        /^kata_guest_meminfo\{item="mem_total"\} \d+$/m,
        /^kata_guest_cpu_time\{cpu="1",item="idle"\} \d+$/m,
        /^kata_guest_filesystem_bytes\{mount="\/run",device="\S+",item="total"\} \d+$/m,
      ]) {
        assert.match(metrics ?? '', line);
      }
    });

    it(`answers what Kata's default build leaves out as that does over ${protocol}`, async () => {
      await using other = await guest.connect(protocol);
      await assert.rejects(other.kata.memAgentMemcgSet({}), refusal('internal', 'mem-agent is disabled'));
      await assert.rejects(other.kata.memAgentCompactSet({}), refusal('internal', 'mem-agent is disabled'));
      await assert.rejects(other.kata.setPolicy({ policy: 'package agent_policy' }), refusal('unimplemented', 'SetPolicy'));
    });
  }

  it('looks at the mounts of the share, and probes for memory where the kernel can', async () => {
    await client.kata.removeStaleVirtiofsShareMounts({});
    await client.kata.memHotplugByProbe({});
    const canProbe = (await client.kata.getGuestDetails({ memHotplugProbe: true })).supportMemHotplugProbe;
    if (!canProbe) await assert.rejects(client.kata.memHotplugByProbe({ memHotplugProbeAddr: [1n] }), refusal('internal', '0x1'));
  });
});
