// PCI devices passed through to a container by VFIO, or left to the guest's own driver. The guest has an IOMMU.
import assert from 'node:assert/strict';
import { BOOT_TIMEOUT_MS } from '../support/guest.ts';
import { HotplugGuest } from '../support/hotplug-guest.ts';

/** As the host lists it: a node that is nothing in the guest. */
const HOST_NODE = { Path: '/dev/vfio/77', Type: 'c', Major: 510n, Minor: 3n, FileMode: 0o660 };

describe('a PCI device passed through', function () {
  this.timeout(BOOT_TIMEOUT_MS);
  let vm: HotplugGuest;

  before(async () => {
    vm = await HotplugGuest.boot({ iommu: true }, ['intel_iommu=on']);
  });
  afterEach(async () => {
    await vm.removeAll();
  });
  after(async () => {
    await vm?.[Symbol.asyncDispose]();
  });

  it('is a VFIO group of the container that has it alone, under the address it has in the guest', async () => {
    const host = '0000:3b:00.0';
    const pciPath = await vm.plug.plugInPort('nic', 'virtio-net-pci', 1);
    const device = { type: 'vfio-pci', id: 'x', containerPath: HOST_NODE.Path, options: [`${host}=${pciPath}`] };
    const env = [`PCIDEVICE_EXAMPLE_NIC=${host}`];
    const shell = await vm.container('vfio', { devices: [device], nodes: [HOST_NODE], env });
    const guestAddress = (await vm.inGuest('ls /sys/bus/pci/drivers/vfio-pci | grep ^0000')).trim();
    const group = await vm.inGuest(`basename $(readlink /sys/bus/pci/devices/${guestAddress}/iommu_group)`);
    assert.equal(await shell('tr "\\0" "\\n" < /proc/1/environ | grep ^PCIDEVICE_'), `PCIDEVICE_EXAMPLE_NIC=${guestAddress}`);
    // Opening is allowed, and VFIO itself lets a group be open once.
    assert.equal(await shell(`exec 3<>/dev/vfio/${group}; echo opened`), 'opened');
    const other = await vm.container('other');
    const number = await shell(`stat -c '%t %T' /dev/vfio/${group}`);
    const [major, minor] = number.split(' ').map((digits) => Number.parseInt(digits, 16));
    assert.match(await other(`mknod /vfio c ${major} ${minor}; (cat < /vfio) 2>&1 || true`), /Operation not permitted/);
    await vm.removeAll();
    await vm.plug.unplug('nic');
  });

  it("is left to the guest's own driver when its kind says so", async () => {
    const host = '0000:3b:00.1';
    const pciPath = await vm.plug.plugInPort('gk', 'virtio-net-pci', 1);
    const device = { type: 'vfio-pci-gk', id: 'x', containerPath: '/dev/vfio/9', options: [`${host}=${pciPath}`] };
    const shell = await vm.container('gk', { devices: [device], env: [`PCIDEVICE_EXAMPLE_NIC=${host}`] });
    const guestAddress = (await shell('tr "\\0" "\\n" < /proc/1/environ | grep ^PCIDEVICE_')).split('=')[1];
    assert.equal(await vm.inGuest(`basename $(readlink /sys/bus/pci/devices/${guestAddress}/driver)`), 'virtio-pci');
    await vm.removeAll();
    await vm.plug.unplug('gk');
  });
});
