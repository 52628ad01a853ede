// What the host plugs into a running guest for the guest itself and for volumes: disks as storages, swap, CPUs, memory.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode } from '../../agent/errors.ts';
import { BOOT_TIMEOUT_MS } from '../support/guest.ts';
import { HotplugGuest } from '../support/hotplug-guest.ts';

const VOLUME = '/run/kata-containers/sandbox/volume';
const MIB = 1 << 20;

describe('hardware plugged into a running guest', function () {
  this.timeout(BOOT_TIMEOUT_MS);
  let vm: HotplugGuest;

  before(async () => {
    vm = await HotplugGuest.boot({ maxCpus: 3 });
  });
  afterEach(async () => {
    await vm.removeAll();
  });
  after(async () => {
    await vm?.[Symbol.asyncDispose]();
  });

  const storage = (driver: string, source: string, fstype = 'ext4') => ({ driver, source, fstype, mountPoint: VOLUME });
  const mounts = [{ source: VOLUME, destination: '/volume', type: 'bind', options: ['rbind'] }];
  const ext4 = (name: string, mib = 16) => vm.made(name, mib, 'mkfs.ext4', '-qF');

  it('is a disk behind a PCI path for a container that waits for it, and lets go of it with the container', async () => {
    const path = await ext4('blk');
    const created = vm.container('blk', { storages: [storage('blk', '18/05')], mounts });
    await sleep(1_500);
    await vm.plug.plugDiskBehindBridge({ id: 'blk', path }, 5);
    const shell = await created;
    await shell('echo kept > /volume/file');
    await vm.remove('blk');
    const again = await vm.container('blk', { storages: [storage('blk', '18/05')], mounts });
    assert.equal(await again('cat /volume/file'), 'kept');
    await vm.remove('blk');
    await vm.plug.unplug('blk');
  });

  it('is a SCSI disk by target and LUN', async () => {
    const address = await vm.plug.plugScsiDisk({ id: 'scsi', path: await ext4('scsi') }, 3, 1);
    const shell = await vm.container('scsi', { storages: [storage('scsi', address)], mounts });
    assert.match(await shell('echo x > /volume/file; grep " /volume " /proc/mounts'), /^\/dev\/sd[a-z]+ \/volume ext4/);
    await vm.remove('scsi');
    await vm.plug.unplug('scsi');
  });

  it('is an NVDIMM by its node', async () => {
    await vm.plug.plugNvdimm('nv', await ext4('nv', 128), 128 * MIB);
    const shell = await vm.container('nvdimm', { storages: [storage('nvdimm', '/dev/pmem0')], mounts });
    assert.match(await shell('echo x > /volume/file; grep " /volume " /proc/mounts'), /^\/dev\/pmem0 \/volume ext4/);
  });

  for (const [fstype, mkfs, option, mib] of [
    ['ext4', 'mkfs.ext4', '-qF', 32],
    ['xfs', 'mkfs.xfs', '-qf', 320],
  ] as const) {
    it(`is a disk with ${fstype} that becomes larger while a container has it open`, async () => {
      const path = await vm.made(`grow-${fstype}`, mib, mkfs, option);
      const id = `grow-${fstype}`;
      const pciPath = await vm.plug.plugDiskBehindBridge({ id, path }, 6);
      const shell = await vm.container('grow', { storages: [storage('blk', pciPath, fstype)], mounts });
      await shell('echo kept > /volume/file');
      const size = async () => Number((await vm.client.kata.getVolumeStats({ volumeGuestPath: VOLUME })).usage[0]?.total);
      const before = await size();
      await vm.plug.resizeDisk(id, 2 * mib * MIB);
      await vm.client.kata.resizeVolume({ volumeGuestPath: VOLUME, size: BigInt(2 * mib * MIB) });
      const after = await size();
      assert.ok(after - before > 0.8 * mib * MIB, `${before} -> ${after}`);
      assert.equal(await shell('cat /volume/file; head -c 1048576 /dev/zero > /volume/more; echo $?'), 'kept\n0');
      // More than the disk has.
      await assert.rejects(vm.client.kata.resizeVolume({ volumeGuestPath: VOLUME, size: BigInt(4 * mib * MIB) }), (error) =>
        hasCode(error, 'internal'),
      );
      assert.equal(await size(), after);
      await vm.remove('grow');
      await vm.plug.unplug(id);
    });
  }

  it('is swap space by its PCI path', async () => {
    const path = await vm.made('swap', 16, 'mkswap');
    await vm.plug.plugDiskInPort({ id: 'swap', path }, 1);
    await vm.client.kata.addSwap({ PCIPath: [0x1a, 0] });
    const device = /^(\/dev\/vd[a-z]+)\s+partition\s+16380/m.exec(await vm.inGuest('cat /proc/swaps'))?.[1];
    assert.ok(device);
    await vm.inGuest(`swapoff ${device}`);
    await vm.plug.unplug('swap');
  });

  it('is a CPU, on line when the host asks for so many in all, and counted; one the kernel does not take is told', async () => {
    const range = (name: string) => vm.inGuest(`cat /sys/devices/system/cpu/${name}`);
    assert.equal(await range('online'), '0-1');
    const possible = await range('possible');
    await vm.plug.plugCpu();
    const online = vm.client.kata.onlineCPUMem({ nbCpus: 3, cpuOnly: true });
    // Without a hypervisor that it knows (emulation) this kernel rejects CPUs at boot that are not there yet.
    if (possible === '0-1') {
      await assert.rejects(online, (error) => hasCode(error, 'internal') && error.message.includes('failed to online 1 CPU(s)'));
      assert.equal(vm.guest.guest.accel, 'tcg');
    } else {
      await online;
      assert.equal(await range('online'), '0-2');
      assert.equal(await (await vm.container('cpus'))('nproc'), '3');
    }
    await assert.rejects(vm.plug.plugCpu(), (error) => hasCode(error, 'resource_exhausted'));
  });

  it('is memory, on line when the host asks for it', async () => {
    const total = async () => Number(/MemTotal:\s+(\d+)/.exec(await vm.inGuest('cat /proc/meminfo'))![1]);
    const before = await total();
    const { memBlockSizeBytes } = await vm.client.kata.getGuestDetails({ memBlockSize: true });
    assert.equal(memBlockSizeBytes, BigInt(128 * MIB));
    await vm.plug.plugMemory('dimm', 256);
    const offLine = async () => await vm.inGuest('grep -l offline /sys/devices/system/memory/memory*/state | wc -l');
    for (let looks = 0; looks < 100; looks++) {
      await vm.client.kata.onlineCPUMem({ nbCpus: 0, cpuOnly: false });
      if ((await total()) - before >= 256 * 1024) break;
    }
    assert.equal((await total()) - before, 256 * 1024);
    assert.equal(await offLine(), '0');
  });
});
