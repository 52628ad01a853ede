import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasCode } from '../../../../agent/errors.ts';
import { kernelCommandLine, type QemuPlan, qemuArguments } from '../../../../client/vm/qemu-args.ts';

const options: QemuPlan['options'] = {
  memory: 512,
  cpus: 2,
  disks: [],
  shares: [],
  nics: [],
  serial: false,
  uart: false,
  cmdline: [],
  console: 'serial',
  files: { kernel: '/i/vmlinuz', initrd: '/i/initramfs' },
  timeoutMs: 1,
  silenceMs: 1,
  waitFor: 'listening',
};
const plan: QemuPlan = { qemu: '/usr/bin/qemu', options, accel: 'kvm', way: 'direct', cid: 42, shareSockets: [] };

/** The values given to each occurrence of an option, JSON parsed. */
function allValues(argv: readonly string[], option: string): unknown[] {
  return argv
    .flatMap((word, at) => (word === option ? [argv[at + 1]!] : []))
    .map((text) => (text.startsWith('{') ? JSON.parse(text) : text));
}

const isBalloon = (value: unknown) => JSON.stringify(value).includes('virtio-balloon');

/** Without the balloon, which every guest has and one test looks at. */
function values(argv: readonly string[], option: string): unknown[] {
  return allValues(argv, option).filter((value) => !isBalloon(value));
}

describe("QEMU's command line", () => {
  it('lets the processors of an emulated guest take turns, which its kernel needs while it patches itself', () => {
    assert.deepEqual(values(qemuArguments({ ...plan, accel: 'tcg' }), '-accel'), ['tcg,thread=single']);
  });

  it('has a balloon by which the guest tells what it has freed', () => {
    for (const [machine, driver] of [
      ['q35', 'virtio-balloon-pci'],
      ['microvm', 'virtio-balloon-device'],
    ] as const) {
      const argv = qemuArguments({ ...plan, options: { ...options, machine } });
      const balloons = allValues(argv, '-device').filter(isBalloon);
      assert.equal(balloons.length, 1);
      assert.partialDeepStrictEqual(balloons[0], { driver, 'free-page-reporting': true });
    }
  });

  it('is a microvm under KVM, which boots fastest, and a q35 when emulated, which keeps time', () => {
    assert.match(String(values(qemuArguments(plan), '-machine')), /^microvm,/);
    assert.match(String(values(qemuArguments({ ...plan, accel: 'tcg' }), '-machine')), /^q35,/);
    assert.match(String(values(qemuArguments({ ...plan, options: { ...options, machine: 'q35' } }), '-machine')), /^q35,/);
  });

  it("gives the CID to the kernel's device in the direct way", () => {
    assert.deepEqual(values(qemuArguments(plan), '-device'), [
      { driver: 'vhost-vsock-device', 'guest-cid': 42, bus: 'virtio-mmio-bus.23' },
    ]);
  });

  it('connects to the device process in the vhost-user way, with memory that it can map', () => {
    const argv = qemuArguments({ ...plan, way: 'vhost-user', accel: 'tcg', vsockSocket: '/r/a,b.sock' });
    assert.deepEqual(values(argv, '-device'), [{ driver: 'vhost-user-vsock-pci', chardev: 'vsock' }]);
    assert.ok(values(argv, '-chardev').includes('socket,id=vsock,path=/r/a,,b.sock'), 'a comma in a path is doubled');
    assert.match(String(values(argv, '-object')), /memory-backend-memfd,.*share=on/);
  });

  it('has no vsock in the serial way, but a named port behind a socket that QEMU listens at', () => {
    const argv = qemuArguments({ ...plan, way: 'serial', accel: 'tcg', serialSocket: '/r/a,b.sock' });
    assert.deepEqual(values(argv, '-device'), [
      { driver: 'virtio-serial-pci', id: 'agent-serial' },
      { driver: 'virtserialport', bus: 'agent-serial.0', chardev: 'agent-serial', name: 'org.berth.agent.0' },
    ]);
    assert.ok(values(argv, '-chardev').includes('socket,id=agent-serial,path=/r/a,,b.sock,server=on,wait=off'));
  });

  it('has the port beside vsock, and a second UART, where they are asked for, and tells the agent of the port', () => {
    const wanted = { ...options, serial: true };
    const argv = qemuArguments({ ...plan, accel: 'tcg', options: wanted, serialSocket: '/r/s', uartSocket: '/r/u' });
    const drivers = (values(argv, '-device') as { driver: string }[]).map(({ driver }) => driver);
    assert.deepEqual(drivers, ['vhost-vsock-pci', 'virtio-serial-pci', 'virtserialport', 'isa-serial']);
    assert.match(kernelCommandLine(wanted), / berth\.serial_addr=serial:\/\/org\.berth\.agent\.0/);
    assert.doesNotMatch(kernelCommandLine(options), /serial_addr/);
  });

  it('connects network cards to their sockets, at PCI addresses that are known beforehand', () => {
    const nics = [
      { mac: '02:00:00:00:00:01', socket: '/r/a,b' },
      { mac: '02:00:00:00:00:02', socket: '/r/c' },
    ];
    const argv = qemuArguments({ ...plan, accel: 'tcg', options: { ...options, nics } });
    assert.deepEqual(values(argv, '-netdev')[0], {
      type: 'stream',
      id: 'nic0',
      server: false,
      addr: { type: 'unix', path: '/r/a,b' },
    });
    const cards = (words: string[]) => values(words, '-device').slice(-2) as Record<string, string>[];
    assert.deepEqual(
      cards(argv).map(({ driver, netdev, mac, addr }) => [driver, netdev, mac, addr]),
      [
        ['virtio-net-pci', 'nic0', '02:00:00:00:00:01', '10'],
        ['virtio-net-pci', 'nic1', '02:00:00:00:00:02', '11'],
      ],
    );
    const [first] = cards(qemuArguments({ ...plan, options: { ...options, nics } }));
    assert.deepEqual([first!['driver'], first!['bus']], ['virtio-net-device', 'virtio-mmio-bus.22']);
  });

  it('puts the root first, then the disks in their order, in the order in which the kernel finds them', () => {
    const disks = [
      { path: '/d/one,two', serial: 'one' },
      { path: '/d/three', readonly: true },
    ];
    const argv = qemuArguments({ ...plan, options: { ...options, disks, files: { ...options.files, root: '/i/root' } } });
    const drives = values(argv, '-blockdev') as { 'read-only': boolean; file: { filename: string } }[];
    assert.deepEqual(
      drives.map((drive) => [drive.file.filename, drive['read-only']]),
      [
        ['/i/root', true],
        ['/d/one,two', false],
        ['/d/three', true],
      ],
    );
    const devices = values(argv, '-device') as { bus: string; serial?: string }[];
    assert.deepEqual(
      devices.map(({ bus }) => bus),
      [23, 22, 21, 20].map((slot) => `virtio-mmio-bus.${slot}`),
    );
    assert.deepEqual(
      devices.map(({ serial }) => serial),
      ['root', 'one', undefined, undefined],
    );
  });

  it('has a device for each share, on the socket of its virtiofsd', () => {
    const shares = [
      { dir: '/a', tag: 'a' },
      { dir: '/b', tag: 'b' },
    ];
    const argv = qemuArguments({ ...plan, accel: 'tcg', options: { ...options, shares }, shareSockets: ['/r/0', '/r/1'] });
    const devices = values(argv, '-device') as { driver: string; tag?: string; chardev?: string }[];
    assert.deepEqual(
      devices.filter(({ driver }) => driver === 'vhost-user-fs-pci').map(({ tag, chardev }) => [tag, chardev]),
      [
        ['a', 'share0'],
        ['b', 'share1'],
      ],
    );
    assert.ok(values(argv, '-chardev').includes('socket,id=share1,path=/r/1'));
  });

  it('refuses more devices than a microvm has room for', () => {
    const disks = Array.from({ length: 23 }, (_, at) => ({ path: `/d/${at}` }));
    assert.throws(
      () => qemuArguments({ ...plan, options: { ...options, disks } }),
      (error) => hasCode(error, 'resource_exhausted'),
    );
  });

  it('refuses a kernel command line that the kernel would cut off', () => {
    const base = kernelCommandLine(options).length;
    const fits = 'x'.repeat(2047 - base - 1);
    assert.equal(kernelCommandLine({ ...options, cmdline: [fits] }).length, 2047);
    assert.throws(
      () => kernelCommandLine({ ...options, cmdline: [`${fits}x`] }),
      (error) => hasCode(error, 'invalid_argument'),
    );
  });

  it('boots a kernel that carries its own initramfs, with the root as an NVDIMM and a virtio console, as Kata does', async () => {
    await using root = await temporaryFile(4_194_304);
    const files = { kernel: '/i/vmlinuz-stage1', root: root.path, rootDevice: 'nvdimm' as const };
    const kata = {
      ...options,
      files,
      console: 'virtio' as const,
      machine: 'q35' as const,
      kernelCommandLine: 'root=/dev/pmem0p1 ro',
    };
    const argv = qemuArguments({ ...plan, options: kata });
    assert.deepEqual(values(argv, '-initrd'), []);
    assert.deepEqual(values(argv, '-append'), ['root=/dev/pmem0p1 ro']);
    assert.deepEqual(values(argv, '-blockdev'), []);
    assert.match(String(values(argv, '-machine')), /nvdimm=on/);
    const backends = values(argv, '-object') as { 'mem-path'?: string; size?: number; readonly?: boolean }[];
    const backend = backends.find((object) => object['mem-path'] === root.path);
    assert.deepEqual([backend?.size, backend?.readonly], [4_194_304, true]);
    assert.deepEqual(values(argv, '-device').slice(0, 3), [
      'nvdimm,id=nvdimm0,memdev=pmem0,unarmed=on',
      { driver: 'virtio-serial-pci' },
      { driver: 'virtconsole', chardev: 'console' },
    ]);
    assert.ok(!argv.includes('-serial'));
  });

  it('has room for what is plugged in, and controllers to plug it into, only when asked', () => {
    const roomy = { ...plan, qmpSocket: '/r/q,mp', options: { ...options, machine: 'q35', hotplug: {} } } as const;
    const argv = qemuArguments(roomy);
    assert.deepEqual(values(argv, '-smp'), ['2,maxcpus=4,sockets=4,cores=1,threads=1']);
    assert.deepEqual(values(argv, '-m'), ['512M,slots=8,maxmem=4608M']);
    assert.deepEqual(values(argv, '-machine'), ['q35,memory-backend=mem,nvdimm=on']);
    assert.deepEqual(values(argv, '-mon'), ['chardev=qmp,mode=control']);
    assert.ok(values(argv, '-chardev').includes('socket,id=qmp,path=/r/q,,mp,server=on,wait=off'));
    const devices = values(argv, '-device') as { driver: string; addr?: string }[];
    assert.deepEqual(
      devices.filter(({ addr }) => addr !== undefined).map(({ driver, addr }) => [driver, addr]),
      [
        ['pci-bridge', '18'],
        ['pcie-root-port', '19'],
        ['pcie-root-port', '1a'],
        ['virtio-scsi-pci', '1b'],
      ],
    );
    const bounded = qemuArguments({ ...roomy, options: { ...roomy.options, hotplug: { maxCpus: 9, maxMemory: 700 } } });
    assert.deepEqual(
      [values(bounded, '-smp'), values(bounded, '-m')],
      [['2,maxcpus=9,sockets=9,cores=1,threads=1'], ['512M,slots=8,maxmem=700M']],
    );
    assert.deepEqual(values(qemuArguments(plan), '-mon'), []);
  });
});

async function temporaryFile(bytes: number) {
  const directory = await mkdtemp(join(tmpdir(), 'berth-qemu-args-'));
  const path = join(directory, 'image');
  await writeFile(path, Buffer.alloc(bytes));
  return { path, [Symbol.asyncDispose]: () => rm(directory, { recursive: true }) };
}
