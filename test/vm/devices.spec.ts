// Devices that the host plugs into a running guest, offered to containers; and what containers can't open.
import assert from 'node:assert/strict';
import { open, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode } from '../../agent/errors.ts';
import { BOOT_TIMEOUT_MS } from '../support/guest.ts';
import { guestResources } from '../support/guest-resources.ts';
import { HOTPLUG_TIMEOUT_S, HotplugGuest } from '../support/hotplug-guest.ts';

/** As the host numbers it: nothing of the sort is in the guest. */
const HOST_DISK = { Path: '/dev/xda', Type: 'b', Major: 8n, Minor: 0n, FileMode: 0o660 };

describe('a device plugged into a running guest', function () {
  this.timeout(BOOT_TIMEOUT_MS);
  let vm: HotplugGuest;

  before(async () => {
    vm = await HotplugGuest.boot();
  });
  afterEach(async () => {
    await vm.removeAll();
  });
  after(async () => {
    await vm?.[Symbol.asyncDispose]();
  });

  const disk = (id: string) => ({ devices: [{ type: 'blk', id, containerPath: '/dev/xda' }], nodes: [HOST_DISK] });

  it('before its container is made is read and written in it, is alone in that, and can be used again', async () => {
    const path = await vm.image('before', 8, 'from the host');
    const pciPath = await vm.plug.plugDiskBehindBridge({ id: 'before', path, serial: 'before' }, 3);
    const shell = await vm.container('before', disk(pciPath));
    assert.equal(await shell('head -c 13 /dev/xda'), 'from the host');
    await shell('echo -n "from the container" | dd of=/dev/xda conv=notrunc,fsync 2>/dev/null');
    const file = await open(path);
    assert.equal((await file.read(Buffer.alloc(18), 0, 18, 0)).buffer.toString(), 'from the container');
    await file.close();
    const node = await shell("stat -c '%t:%T' /dev/xda");
    assert.equal(node, await vm.inGuest("stat -c '%t:%T' /dev/$(grep -l before /sys/block/vd*/serial | cut -d/ -f4)"));
    // The guest's own root is the first virtio disk. That it is the rules that keep it shut is seen where they don't.
    const readRoot = `mknod /guest-root b $((0x${node.split(':')[0]})) 0; (head -c 1 < /guest-root | wc -c) 2>&1 || true`;
    assert.match(await shell(readRoot), /Operation not permitted/);
    const unruled = await vm.container('unruled', { rules: [{ Allow: true, Type: 'a', Access: 'rwm' }] });
    assert.equal(await unruled(readRoot), '1');
    await vm.remove('before');

    const again = await vm.container('again', disk(pciPath));
    assert.equal(await again('head -c 18 /dev/xda'), 'from the container');
    await vm.remove('again');
    await vm.plug.unplug('before');
  });

  it('while its container waits for it is there when that starts', async () => {
    const path = await vm.image('after', 8, 'late');
    const created = vm.container('after', disk('19/00'));
    await sleep(1_500);
    const pciPath = await vm.plug.plugDiskInPort({ id: 'after', path, serial: 'after' }, 0);
    assert.equal(pciPath, '19/00');
    const shell = await created;
    assert.equal(await shell('head -c 4 /dev/xda'), 'late');
    await vm.remove('after');
    await vm.plug.unplug('after');
  });

  it('is as open as the rule that the host gives for it, under the number the guest has', async () => {
    const path = await vm.image('ruled', 8, 'read me');
    const pciPath = await vm.plug.plugDiskBehindBridge({ id: 'ruled', path }, 4);
    const rules = [
      { Allow: false, Type: 'a', Access: 'rwm' },
      { Allow: true, Type: 'b', Major: 8n, Minor: 0n, Access: 'r' },
    ];
    const shell = await vm.container('ruled', { ...disk(pciPath), rules });
    assert.equal(await shell('head -c 7 /dev/xda'), 'read me');
    assert.match(await shell('(echo x > /dev/xda) 2>&1 || true'), /Operation not permitted/);
    await vm.remove('ruled');
    await vm.plug.unplug('ruled');
  });

  it('on the SCSI controller is found by target and LUN, beside another', async () => {
    await vm.plug.plugScsiDisk({ id: 'sa', path: await vm.image('sa', 8, 'first') }, 0, 0);
    const address = await vm.plug.plugScsiDisk({ id: 'sb', path: await vm.image('sb', 8, 'second') }, 1, 2);
    const shell = await vm.container('scsi', {
      devices: [
        { type: 'scsi', id: '0:0', containerPath: '/dev/xda' },
        { type: 'scsi', id: address, containerPath: '/dev/xdb' },
      ],
      nodes: [HOST_DISK, { ...HOST_DISK, Path: '/dev/xdb', Minor: 16n }],
    });
    assert.equal(await shell('head -c 5 /dev/xda; head -c 6 /dev/xdb'), 'firstsecond');
    await vm.remove('scsi');
    for (const id of ['sa', 'sb']) await vm.plug.unplug(id);
  });

  it('as an NVDIMM is found by its node', async () => {
    const bytes = 128 << 20;
    const path = await vm.image('nv', 128, 'persistent');
    await vm.plug.plugNvdimm('nv', path, bytes);
    const device = { type: 'nvdimm', vmPath: '/dev/pmem0', containerPath: '/dev/xda' };
    const shell = await vm.container('nvdimm', { devices: [device], nodes: [HOST_DISK] });
    assert.equal(await shell('head -c 10 /dev/xda'), 'persistent');
    await shell('echo -n "written back" | dd of=/dev/xda conv=notrunc,fsync 2>/dev/null');
    assert.equal((await readFile(path)).subarray(0, 12).toString(), 'written back');
    await vm.remove('nvdimm');
  });

  it('that never comes is an error by its name when the time is over, and leaves nothing', async () => {
    const before = await guestResources(vm.guest);
    const began = performance.now();
    await assert.rejects(
      vm.create('never', disk('18/1f')),
      (error) =>
        hasCode(error, 'deadline_exceeded') &&
        error.message.includes(`Timeout after ${HOTPLUG_TIMEOUT_S}s waiting for block device at PCI path 18/1f`),
    );
    assert.ok(performance.now() - began < (HOTPLUG_TIMEOUT_S + 10) * 1000);
    assert.deepEqual(await guestResources(vm.guest), before);
    // Its name is free.
    await vm.container('never');
  });

  for (const [title, wanted, code, text] of [
    ['of no kind', { devices: [{ type: '', id: '02', containerPath: '/dev/x' }] }, 'invalid_argument', 'invalid type for device'],
    [
      'of an unknown kind',
      { devices: [{ type: 'zip', id: '02', containerPath: '/dev/x' }] },
      'internal',
      'Failed to find the device handler zip',
    ],
    ['of nowhere', { devices: [{ type: 'blk', containerPath: '/dev/x' }] }, 'invalid_argument', 'invalid ID and VM path'],
    ['for no path', { devices: [{ type: 'blk', id: '02' }] }, 'invalid_argument', 'invalid container path'],
    [
      'that the spec does not list',
      { devices: [{ type: 'blk', id: '01', containerPath: '/dev/x' }] },
      'invalid_argument',
      'Missing devices in OCI spec: /dev/x',
    ],
    [
      'of another architecture',
      { devices: [{ type: 'vfio-ap', id: '0a', containerPath: '/dev/x' }] },
      'unimplemented',
      'VFIO-AP is only supported on s390x',
    ],
    [
      'on a channel',
      { devices: [{ type: 'blk-ccw', id: '0.0.0001', containerPath: '/dev/x' }] },
      'unimplemented',
      'CCW is only supported on s390x',
    ],
  ] as const) {
    it(`${title} is refused`, async () => {
      await assert.rejects(
        vm.create('refused', structuredClone(wanted) as never),
        (error) => hasCode(error, code) && error.message.includes(text),
      );
    });
  }
});
