import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DeviceRequest, FoundDevice } from '../../../../agent/container/device/device.ts';
import { splitNumber } from '../../../../agent/container/device/device-node.ts';
import { DEVICE_KINDS, type DeviceKinds, DeviceTable } from '../../../../agent/container/device/device-table.ts';
import { hasCode } from '../../../../agent/errors.ts';
import { fakeKernel } from '../../../support/fake-kernel.ts';

const request = (changes: Partial<DeviceRequest>): DeviceRequest => ({
  type: 'blk',
  id: '',
  vmPath: '',
  containerPath: '/dev/x',
  options: [],
  ...changes,
});

describe('the table of devices', () => {
  let root: string;
  const table = (kinds?: DeviceKinds) =>
    new DeviceTable(
      { uevents: fakeKernel().uevents, hotplugTimeoutMs: 60, sysDir: join(root, 'sys'), devDir: join(root, 'dev') },
      kinds,
    );
  const refused = (field: string, text: string | RegExp) => (error: unknown) =>
    hasCode(error, 'invalid_argument') &&
    error.fields['field'] === field &&
    (typeof text === 'string' ? error.message.includes(text) : text.test(error.message));

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'berth-devices-'));
  });
  afterEach(() => rm(root, { recursive: true }));

  it('has the kinds that hosts name', () => {
    assert.deepEqual(Object.keys(DEVICE_KINDS), [
      'blk',
      'blk-ccw',
      'mmioblk',
      'nvdimm',
      'scsi',
      'vfio-ap',
      'vfio-ap-cold',
      'vfio-pci',
      'vfio-pci-gk',
    ]);
  });

  const bad: [title: string, changes: Partial<DeviceRequest>, field: string, text: string | RegExp][] = [
    ['no type', { type: '', id: '02' }, 'devices[0].type', 'invalid type for device'],
    ['nothing to find it by', {}, 'devices[0].id', 'invalid ID and VM path for device'],
    ['no path in the container', { id: '02', containerPath: '' }, 'devices[0].container_path', 'invalid container path'],
    [
      'a relative path in the container',
      { id: '02', containerPath: 'dev/x' },
      'devices[0].container_path',
      'invalid container path',
    ],
    ['an id that is no PCI path', { id: '0.0.0001' }, 'devices[0].id', 'is no PCI path'],
    ['a slot out of range', { id: '02/20' }, 'devices[0].id', 'is no PCI path'],
    ['a disk that has no PCI path', { vmPath: '/dev/vda' }, 'devices[0].id', 'is no PCI path'],
    ['a SCSI address that is none', { type: 'scsi', id: '1' }, 'devices[0].id', 'is no SCSI address'],
    ['a SCSI target out of range', { type: 'scsi', id: '256:0' }, 'devices[0].id', 'is no SCSI address'],
    ['a node outside /dev', { type: 'mmioblk', vmPath: '/etc/passwd' }, 'devices[0].vm_path', 'is neither'],
    ['a node that climbs out', { type: 'nvdimm', vmPath: '/dev/../etc/x' }, 'devices[0].vm_path', 'is neither'],
    ['no VFIO device', { type: 'vfio-pci', id: 'x' }, 'devices[0].options', 'no PCI device is named'],
    [
      'a VFIO option without a path',
      { type: 'vfio-pci', id: 'x', options: ['0000:1a:00.0'] },
      'devices[0].options',
      'is not of the form',
    ],
    [
      'a VFIO option of three',
      { type: 'vfio-pci-gk', id: 'x', options: ['0000:1a:00.0=02=3'] },
      'devices[0].options',
      'is not of the form',
    ],
    [
      'a host address that is none',
      { type: 'vfio-pci', id: 'x', options: ['1a:20.0=02'] },
      'devices[0].options',
      'is not of the form',
    ],
  ];
  for (const [title, changes, field, text] of bad) {
    it(`refuses ${title}`, () => assert.rejects(table().find([request(changes)]), refused(field, text)));
  }

  it('refuses a kind that nobody knows, one of Object included, and those of other machines with the reason', async () => {
    for (const type of ['zip', 'constructor']) {
      await assert.rejects(
        table().find([request({ type, id: '02' })]),
        (error) => hasCode(error, 'not_found') && error.message === `Failed to find the device handler ${type}`,
      );
    }
    for (const [type, text] of [
      ['blk-ccw', 'CCW is only supported on s390x'],
      ['vfio-ap', 'VFIO-AP is only supported on s390x'],
      ['vfio-ap-cold', 'VFIO-AP is only supported on s390x'],
    ] as const) {
      await assert.rejects(
        table().find([request({ type, id: '02' })]),
        (error) => hasCode(error, 'unimplemented') && error.message.includes(text),
      );
    }
  });

  it('looks at every request before it waits for the first device', async () => {
    let waits = 0;
    const kinds = { blk: async () => ({ find: async () => ({ pci: [], undo: async () => void waits++ }) }) };
    await assert.rejects(table(kinds).find([request({ id: '1' }), request({})]), refused('devices[1].id', 'invalid ID'));
    assert.equal(waits, 0);
  });

  it('takes no more than 256 devices', async () => {
    await assert.rejects(
      table().find(Array.from({ length: 257 }, () => request({ id: '02' }))),
      (error) => hasCode(error, 'resource_exhausted') && error.fields['limit'] === 'devices-per-request',
    );
  });

  it('undoes what was done to those before the one that fails, the last first', async () => {
    const steps: string[] = [];
    const kinds: DeviceKinds = {
      good: async () => ({ find: async ({ id }) => ({ pci: [], undo: async () => void steps.push(id) }) }),
      bad: async () => ({
        find: async () => {
          throw new Error('not there');
        },
      }),
    };
    const good = (id: string) => request({ type: 'good', id });
    await assert.rejects(table(kinds).find([good('a'), good('b'), request({ type: 'bad', id: 'c' })]), /not there/);
    assert.deepEqual(steps, ['b', 'a']);
  });

  it('refuses two places in the guest for one device of the host', async () => {
    const found: Record<string, FoundDevice> = {
      a: { pci: [{ host: '0000:1a:00.0', guest: '0000:01:00.0' }] },
      b: { pci: [{ host: '0000:1a:00.0', guest: '0000:02:00.0' }] },
    };
    const kinds: DeviceKinds = { blk: async () => ({ find: async ({ id }) => found[id]! }) };
    await assert.rejects(
      table(kinds).find([request({ id: 'a' }), request({ id: 'b' })]),
      refused('devices', 'Conflicting guest address'),
    );
    const { guestAddresses } = await table(kinds).find([request({ id: 'a' }), request({ id: 'a' })]);
    assert.deepEqual([...guestAddresses], [['0000:1a:00.0', '0000:01:00.0']]);
  });

  it('names a device that does not come', async () => {
    await assert.rejects(
      table().find([request({ type: 'vfio-pci', id: 'x', options: ['0000:1a:00.0=02/03'] })]),
      (error) =>
        hasCode(error, 'deadline_exceeded') && error.message === 'Timeout after 0.06s waiting for PCI device at PCI path 02/03',
    );
  });

  describe('with a PCI device for VFIO', () => {
    const GUEST_ADDRESS = '0000:00:02.0';
    const read = async (name: string) => (await readFile(join(root, 'sys', name), 'utf8')).trim();

    beforeEach(async () => {
      const device = join(root, 'sys/devices/pci0000:00', GUEST_ADDRESS);
      await mkdir(device, { recursive: true });
      await mkdir(join(root, 'sys/bus/pci/devices'), { recursive: true });
      await mkdir(join(root, 'sys/bus/pci/drivers/e1000'), { recursive: true });
      await mkdir(join(root, 'sys/kernel/iommu_groups/7'), { recursive: true });
      for (const name of ['vfio_pci', 'vfio_iommu_type1']) await mkdir(join(root, 'sys/module', name), { recursive: true });
      await symlink(device, join(root, 'sys/bus/pci/devices', GUEST_ADDRESS));
      await symlink(join(root, 'sys/bus/pci/drivers/e1000'), join(device, 'driver'));
      await symlink(join(root, 'sys/kernel/iommu_groups/7'), join(device, 'iommu_group'));
      for (const file of ['driver_override', 'driver/unbind']) await writeFile(join(device, file), '');
      await writeFile(join(root, 'sys/bus/pci/drivers_probe'), '');
      await mkdir(join(root, 'dev/vfio'), { recursive: true });
      // /dev/zero stands for the group's node: 1:5.
      await symlink('/dev/zero', join(root, 'dev/vfio/7'));
    });

    const options = ['0000:1A:00.0=02'];

    it('takes it from its driver, probes for VFIO, and gives the group where VFIO wants it', async () => {
      const devices = await table().find([request({ type: 'vfio-pci', id: 'x', options })]);
      assert.deepEqual(devices.placed, [
        { containerPath: '/dev/x', node: { type: 'c', major: 1, minor: 5, path: join(root, 'dev/vfio/7') } },
      ]);
      assert.deepEqual([...devices.guestAddresses], [['0000:1a:00.0', GUEST_ADDRESS]]);
      assert.equal(await read(`bus/pci/devices/${GUEST_ADDRESS}/driver_override`), 'vfio-pci');
      assert.equal(await read('bus/pci/drivers/e1000/unbind'), GUEST_ADDRESS);
      assert.equal(await read('bus/pci/drivers_probe'), GUEST_ADDRESS);
    });

    it('gives it back when the container is not made after all', async () => {
      const devices = await table().find([request({ type: 'vfio-pci', id: 'x', options })]);
      await writeFile(join(root, 'sys/bus/pci/drivers_probe'), '');
      await devices.undo();
      assert.match(await read(`bus/pci/devices/${GUEST_ADDRESS}/driver_override`), /^\n?(fio-pci)?$/);
      assert.equal(await read('bus/pci/drivers_probe'), GUEST_ADDRESS);
    });

    it('leaves it with the kernel of the guest for the other kind, and gives no node', async () => {
      const devices = await table().find([request({ type: 'vfio-pci-gk', id: 'x', options })]);
      assert.deepEqual([devices.placed, [...devices.guestAddresses]], [[], [['0000:1a:00.0', GUEST_ADDRESS]]]);
      assert.equal(await read(`bus/pci/devices/${GUEST_ADDRESS}/driver_override`), '');
    });

    it('refuses one without an IOMMU group, and changes nothing', async () => {
      await rm(join(root, 'sys/devices/pci0000:00', GUEST_ADDRESS, 'iommu_group'));
      await assert.rejects(
        table().find([request({ type: 'vfio-pci', id: 'x', options })]),
        (error) => hasCode(error, 'failed_precondition') && error.message === `${GUEST_ADDRESS} has no IOMMU group`,
      );
      assert.equal(await read(`bus/pci/devices/${GUEST_ADDRESS}/driver_override`), '');
    });
  });
});

describe('the number of a device', () => {
  it('is taken apart as glibc puts it together', () => {
    assert.deepEqual(splitNumber(0x0103n), { major: 1, minor: 3 });
    assert.deepEqual(splitNumber(0xfe30n), { major: 254, minor: 48 });
    // makedev(0x12345678, 0x9abcdef0)
    assert.deepEqual(splitNumber((0x12345n << 44n) | (0x678n << 8n) | (0x9abcden << 20n) | 0xf0n), {
      major: 0x12345678,
      minor: 0x9abcdef0,
    });
  });
});
