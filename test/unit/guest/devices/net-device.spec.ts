import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasCode } from '../../../../agent/errors.ts';
import { waitForNetDevice } from '../../../../agent/guest/devices/net-device.ts';
import { type FakeKernel, fakeKernel } from '../../../support/fake-kernel.ts';

const BRIDGE = 'devices/pci0000:00/0000:00:02.0';
const BEHIND = `${BRIDGE}/0000:01:03.0`;

describe('a network device on the PCI bus', () => {
  let sysDir: string;
  let kernel: FakeKernel;
  const plug = (path: string) => mkdir(join(sysDir, path), { recursive: true });
  const wait = (text: string, hotplugTimeoutMs = 5_000) =>
    waitForNetDevice(text, { sysDir, devDir: '/dev', hotplugTimeoutMs, uevents: kernel.uevents });

  beforeEach(async () => {
    kernel = fakeKernel();
    sysDir = await mkdtemp(join(tmpdir(), 'berth-sys-'));
    await plug(`${BRIDGE}/pci_bus/0000:01`);
    await plug('bus/pci');
    await writeFile(join(sysDir, 'bus/pci/rescan'), '');
  });
  afterEach(() => rm(sysDir, { recursive: true }));

  it('has its name below the virtio device that it is', async () => {
    await plug(`${BEHIND}/virtio4/net/eth3`);
    assert.equal(await wait('02/03'), 'eth3');
  });

  it('has its name directly below when it is another kind of NIC', async () => {
    await plug(`${BEHIND}/net/enp1s3`);
    assert.equal(await wait('02/03'), 'enp1s3');
  });

  it('is waited for, and the bus is looked over for it', async () => {
    const found = wait('02/03', 2_000);
    while ((await readFile(join(sysDir, 'bus/pci/rescan'), 'utf8')) !== '1') await new Promise(setImmediate);
    await plug(`${BEHIND}/virtio4`);
    kernel.say('add', `/${BEHIND}/virtio4`, 'virtio');
    await plug(`${BEHIND}/virtio4/net/eth3`);
    kernel.say('add', `/${BEHIND}/virtio4/net/eth3`, 'net');
    assert.equal(await found, 'eth3');
  });

  it('that does not come is told by its path, and a disk there is none', async () => {
    await plug(`${BEHIND}/virtio4/block/vda`);
    await assert.rejects(
      wait('02/03', 100),
      (error) => hasCode(error, 'deadline_exceeded') && /waiting for network device at PCI path 02\/03/.test(error.message),
    );
  });

  for (const path of ['', '..', '/sys/class/net/lo', '2/3', '0.0.0001', '02/ff', '02/../03']) {
    it(`is not at ${JSON.stringify(path)}, which is no PCI path`, async () => {
      await assert.rejects(
        wait(path),
        (error) => hasCode(error, 'invalid_argument') && error.fields['field'] === 'interface.devicePath',
      );
    });
  }
});
