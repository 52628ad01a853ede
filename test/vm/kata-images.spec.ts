// The images that a Kata configuration can name, booted as Kata's runtimes do: their kernel command lines word for word, a
// virtio console, no initramfs beside `image`.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { BootOptions } from '../../client/vm/options.ts';
import { imageFolder } from '../../client/vm/options.ts';
import { bootTestGuest, type TestGuest } from '../support/guest.ts';
import { runInGuest } from '../support/guest-resources.ts';

const file = (name: string) => join(imageFolder(), name);

/** Go runtime, QEMU on x86-64: its own words, then root, consoles, `kernel_params` of the shipped configuration, processors. */
const GO_BASE =
  'tsc=reliable no_timer_check rcupdate.rcu_expedited=1 i8042.direct=1 i8042.dumbkbd=1 i8042.nopnp=1 i8042.noaux=1 noreplace-smp ' +
  'reboot=k cryptomgr.notests net.ifnames=0 pci=lastbus=0';
const GO_TAIL =
  'console=hvc0 console=hvc1 quiet systemd.show_status=false panic=1 nr_cpus=2 selinux=0 systemd.unit=kata-containers.target ' +
  'systemd.mask=systemd-networkd.service systemd.mask=systemd-networkd.socket scsi_mod.scan=none cgroup_no_v1=all ' +
  'systemd.unified_cgroup_hierarchy=1';
/** runtime-rs: its defaults, then root, console, agent. */
const RS_BASE = 'reboot=k panic=1 systemd.unit=kata-containers.target systemd.mask=systemd-networkd.service';
const RS_TAIL = 'agent.log_vport=1025 cgroup_no_v1=all systemd.unified_cgroup_hierarchy=1 selinux=0 initcall_debug console=hvc0';

const IMAGE = { kernel: file('vmlinuz-stage1'), root: file('root.erofs') };
const NVDIMM = { ...IMAGE, rootDevice: 'nvdimm' as const };
const INITRD = { kernel: file('vmlinuz'), initrd: file('initrd-full.cpio') };

interface Case {
  readonly title: string;
  readonly image: NonNullable<BootOptions['image']>;
  readonly commandLine: string;
  /** `source type` of the mount on /. */
  readonly root: RegExp;
}

const CASES: readonly Case[] = [
  {
    title: 'kernel + image as an NVDIMM, the default of the Go runtime, which says ext4 and dax',
    image: NVDIMM,
    commandLine: `${GO_BASE} root=/dev/pmem0p1 rootflags=dax,data=ordered,errors=remount-ro ro rootfstype=ext4 ${GO_TAIL}`,
    root: /^\/dev\/pmem0p1 erofs$/,
  },
  {
    title: 'kernel + image as an NVDIMM with rootfs_type = "erofs"',
    image: NVDIMM,
    commandLine: `${GO_BASE} root=/dev/pmem0p1 rootflags=dax ro rootfstype=erofs ${GO_TAIL}`,
    root: /^\/dev\/pmem0p1 erofs$/,
  },
  {
    title: 'kernel + image as a virtio disk, with disable_image_nvdimm',
    image: IMAGE,
    commandLine: `${GO_BASE} root=/dev/vda1 rootflags=data=ordered,errors=remount-ro ro rootfstype=ext4 ${GO_TAIL}`,
    root: /^\/dev\/vda1 erofs$/,
  },
  {
    title: 'kernel + image as a virtio disk under runtime-rs',
    image: IMAGE,
    commandLine: `${RS_BASE} root=/dev/vda1 rootflags=ro rootfstype=erofs ${RS_TAIL}`,
    root: /^\/dev\/vda1 erofs$/,
  },
  {
    title: 'kernel + initrd, without any disk',
    image: INITRD,
    commandLine: `${GO_BASE} ${GO_TAIL}`,
    root: /^\/dev\/loop0 erofs$/,
  },
];

/** KiB of /proc/meminfo. */
async function memory(guest: TestGuest): Promise<Record<string, number>> {
  await using client = await guest.connect('ttrpc');
  const text = await runInGuest(client, ['cat', '/proc/meminfo']);
  return Object.fromEntries([...text.matchAll(/^(\w+): +(\d+) kB/gm)].map(([, key, value]) => [key, Number(value)]));
}

describe('a guest booted as Kata does', function () {
  this.timeout(300_000);
  const available = new Map<string, number>();

  for (const { title, image, commandLine, root } of CASES) {
    it(`comes up from ${title}`, async () => {
      await using guest = await bootTestGuest({
        image,
        kernelCommandLine: commandLine,
        console: 'virtio',
        machine: 'q35',
        disks: [],
      });
      await using client = await guest.connect('ttrpc');
      const mounts = await runInGuest(client, ['cat', '/proc/1/mounts']);
      const [source, , type] = mounts
        .split('\n')
        .find((line) => line.split(' ')[1] === '/')!
        .split(' ');
      assert.match(`${source} ${type}`, root);
      const drivers = await runInGuest(client, ['cat', '/proc/modules']);
      assert.equal(/^nd_pmem /m.test(drivers), source === '/dev/pmem0p1', 'drivers of NVDIMMs are loaded where there is one');
      assert.equal((await runInGuest(client, ['cat', '/proc/cmdline'])).trim(), commandLine);
      const used = await memory(guest);
      available.set(title, used['MemAvailable']!);
      console.log(`        ${Math.round(used['MemAvailable']! / 1024)} of ${Math.round(used['MemTotal']! / 1024)} MiB available`);
      // The host stops a sandbox this way: the machine is off, not hung.
      const off = guest.guest.waitExit();
      await client.kata.destroySandbox({});
      assert.equal((await off).code, 0);
    });
  }

  it('holds the initrd in memory once, packed as it came', () => {
    const [disk, initrd] = [CASES[2]!.title, CASES[4]!.title].map((title) => available.get(title));
    assert.ok(disk !== undefined && initrd !== undefined);
    const costMiB = (disk - initrd) / 1024;
    assert.ok(costMiB < 110, `the initrd costs ${costMiB} MiB beside the disk`);
  });
});
