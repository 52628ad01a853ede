import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { hasCode } from '../../../../agent/errors.ts';
import { findBlockDevice, findPciDevice, parsePciPath } from '../../../../agent/guest/devices/pci-path.ts';

describe('a PCI path', () => {
  const good: [text: string, rootBus: number, slots: string[]][] = [
    ['02', 0, ['02.0']],
    ['02/03', 0, ['02.0', '03.0']],
    ['1F/00.7', 0, ['1f.0', '00.7']],
    ['20/00/02', 0x20, ['00.0', '02.0']],
  ];
  for (const [text, rootBus, slots] of good) {
    it(`is read: ${text}`, () => assert.deepEqual(parsePciPath(text), { rootBus, slots }));
  }

  for (const text of ['', '/dev/vda', '2', '002', '02/', '/02', '02//03', '02/xx', '02.8', '0000:00:02.0', '02/03\n']) {
    it(`is not ${JSON.stringify(text)}`, () => assert.equal(parsePciPath(text), undefined));
  }

  for (const text of ['02/20', '20', 'ff/ff', Array(17).fill('01').join('/')]) {
    it(`has numbers out of range in ${text.slice(0, 12)}`, () => {
      assert.throws(
        () => parsePciPath(text),
        (error) => hasCode(error, 'invalid_argument') && error.fields['field'] === 'source',
      );
    });
  }
});

describe('any text as a PCI path', () => {
  it('is read, or is none, or is refused by its field: nothing else', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[0-9a-f./]{0,60}$/)), (text) => {
        try {
          const path = parsePciPath(text, 'devices[0].id');
          for (const slot of path?.slots ?? []) assert.match(slot, /^[01][0-9a-f]\.[0-7]$/);
        } catch (error) {
          assert.ok(hasCode(error, 'invalid_argument') && error.fields['field'] === 'devices[0].id');
        }
      }),
    );
  });

  it('means the same slots however it is written', () => {
    const slots = fc.array(fc.tuple(fc.integer({ min: 0, max: 31 }), fc.integer({ min: 0, max: 7 })), {
      minLength: 1,
      maxLength: 16,
    });
    fc.assert(
      fc.property(slots, fc.boolean(), (numbers, upper) => {
        const text = numbers.map(([slot, fn]) => `${slot.toString(16).padStart(2, '0')}.${fn}`).join('/');
        assert.equal(parsePciPath(upper ? text.toUpperCase() : text)?.slots.join('/'), text);
      }),
    );
  });
});

describe('a block device by its PCI path', () => {
  let sysDir: string;
  const find = async (text: string) => {
    const device = await findPciDevice(parsePciPath(text)!, sysDir);
    return device === undefined ? undefined : await findBlockDevice(device);
  };

  beforeEach(async () => {
    sysDir = await mkdtemp(join(tmpdir(), 'berth-pci-'));
    const root = join(sysDir, 'devices/pci0000:00');
    // As QEMU's q35 shows them: a disk on the root bus, one behind a bridge, one behind two root ports.
    await mkdir(join(root, '0000:00:03.0/virtio1/block/vda/queue'), { recursive: true });
    await mkdir(join(root, '0000:00:02.0/pci_bus/0000:01'), { recursive: true });
    await mkdir(join(root, '0000:00:02.0/0000:01:03.0/virtio2/block/vdb'), { recursive: true });
    await mkdir(join(root, '0000:00:05.0/virtio3/net/eth0'), { recursive: true });
    await mkdir(join(sysDir, 'devices/pci0000:20/0000:20:00.0/pci_bus/0000:21'), { recursive: true });
    await mkdir(join(sysDir, 'devices/pci0000:20/0000:20:00.0/0000:21:02.0/virtio4/block/vdc'), { recursive: true });
  });
  afterEach(() => rm(sysDir, { recursive: true }));

  const cases: [path: string, name: string | undefined][] = [
    ['03', 'vda'],
    ['02/03', 'vdb'],
    ['20/00/02', 'vdc'],
    ['04', undefined],
    ['02/04', undefined],
    ['03/00', undefined],
    ['05', undefined],
  ];
  for (const [path, name] of cases) {
    it(`${path} is ${name ?? 'not there'}`, async () => assert.equal(await find(path), name));
  }
});
