import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { addSwapDisk, addSwapPath } from '../../../../agent/container/storage/swap.ts';
import { hasCode } from '../../../../agent/errors.ts';
import { fakeKernel } from '../../../support/fake-kernel.ts';

describe('swap space', () => {
  let directory: string;
  let swapped: [string, number][];
  const door = { swapOn: async (path: string, flags: number) => void swapped.push([path, flags]) };

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'berth-swap-'));
    swapped = [];
  });
  afterEach(() => rm(directory, { recursive: true }));

  const host = () => ({
    uevents: fakeKernel().uevents,
    hotplugTimeoutMs: 30,
    sysDir: join(directory, 'sys'),
    devDir: join(directory, 'dev'),
  });

  it('is taken by the path given', async () => {
    await addSwapPath('/dev//vdb', door);
    assert.deepEqual(swapped, [['/dev/vdb', 0]]);
  });

  for (const path of ['', 'vdb', '/dev/../etc/x', `/${'x'.repeat(5000)}`]) {
    it(`is refused at ${JSON.stringify(path.slice(0, 20))}`, async () => {
      await assert.rejects(addSwapPath(path, door), (error) => hasCode(error, 'invalid_argument'));
      assert.deepEqual(swapped, []);
    });
  }

  it("tells the kernel's refusal with the path", async () => {
    const refusing = {
      swapOn: async () => {
        throw Object.assign(new Error('EINVAL: no swap signature'), { code: 'EINVAL' });
      },
    };
    await assert.rejects(addSwapPath('/dev/vdb', refusing), /swap on \/dev\/vdb: EINVAL/);
  });

  it('on a disk is looked for by the slots, in hexadecimal, and must be a block device', async () => {
    await mkdir(join(directory, 'sys/devices/pci0000:00/0000:00:1f.0/virtio3/block/vdz'), { recursive: true });
    await mkdir(join(directory, 'dev/vdz'), { recursive: true });
    await assert.rejects(addSwapDisk([0x1f], host(), door), /PCIPath: ".*\/dev\/vdz" is not a block device/);
    assert.deepEqual(swapped, []);
  });

  it('on a disk that does not come is an error by its PCI path', async () => {
    await assert.rejects(
      addSwapDisk([2, 3], host(), door),
      (error) => hasCode(error, 'deadline_exceeded') && error.message.includes('02/03'),
    );
  });

  for (const slots of [[], [256], [1, 0x20], Array(17).fill(1), [2 ** 32 - 1]]) {
    it(`is refused at the slots ${JSON.stringify(slots)}`, async () => {
      await assert.rejects(addSwapDisk(slots, host(), door), (error) => hasCode(error, 'invalid_argument'));
    });
  }
});
