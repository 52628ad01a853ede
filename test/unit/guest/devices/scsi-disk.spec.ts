import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { hasCode } from '../../../../agent/errors.ts';
import { parseScsiAddress, waitForScsiDisk } from '../../../../agent/guest/devices/scsi-disk.ts';
import { type FakeKernel, fakeKernel } from '../../../support/fake-kernel.ts';

describe('a SCSI address', () => {
  it('is a target and a LUN', () => {
    assert.deepEqual(parseScsiAddress('255:16383', 'x'), { target: 255, lun: 16383 });
    assert.deepEqual(parseScsiAddress('0:0', 'x'), { target: 0, lun: 0 });
  });

  it('is read, or refused by its field: nothing else', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[0-9:. -]{0,12}$/)), (text) => {
        try {
          const { target, lun } = parseScsiAddress(text, 'storages[].source');
          assert.match(text, new RegExp(`^0*${target}:0*${lun}$`));
        } catch (error) {
          assert.ok(hasCode(error, 'invalid_argument') && error.fields['field'] === 'source');
        }
      }),
    );
  });
});

describe('a SCSI disk', () => {
  let root: string;
  let kernel: FakeKernel;
  const sys = (...names: string[]) => join(root, 'sys', ...names);
  const scanOf = (host: string) => readFile(sys('class/scsi_host', host, 'scan'), 'utf8');
  const wait = (hotplugTimeoutMs: number) =>
    waitForScsiDisk(
      { target: 1, lun: 0 },
      { uevents: kernel.uevents, hotplugTimeoutMs, sysDir: sys(), devDir: join(root, 'dev') },
    );
  const controller = async (name: string) => {
    await mkdir(sys('class/scsi_host', name), { recursive: true });
    await writeFile(sys('class/scsi_host', name, 'scan'), '');
  };
  /** A symlink to a real disk can't be counted on; the error names the node that was found. */
  const comes = async (address: string, name: string) => {
    await mkdir(sys('bus/scsi/devices', address, 'block', name), { recursive: true });
    await symlink('/dev/null', join(root, 'dev', name));
  };
  const foundAs = (name: string) => (error: unknown) =>
    hasCode(error, 'invalid_argument') && error.message.includes(`/dev/${name}" is not a block device`);

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'berth-scsi-'));
    kernel = fakeKernel();
    await mkdir(join(root, 'dev'));
    for (const name of ['virtio_scsi', 'sd_mod']) await mkdir(sys('module', name), { recursive: true });
    await controller('host0');
  });
  afterEach(() => rm(root, { recursive: true }));

  it('that is there is found without a scan, and is told from others of nearly its address', async () => {
    for (const [address, name] of [
      ['0:0:11:0', 'sda'],
      ['0:0:1:10', 'sdb'],
      ['0:1:1:0', 'sdc'],
      ['2:0:1:0', 'sdd'],
    ] as const) {
      await comes(address, name);
    }
    await assert.rejects(wait(60_000), foundAs('sdd'));
    assert.equal(await scanOf('host0'), '');
  });

  it('is looked for by every controller, one that comes later too', async () => {
    const found = assert.rejects(wait(60_000), foundAs('sdb'));
    while ((await scanOf('host0')) !== '0 1 0') await new Promise(setImmediate);
    await controller('host1');
    kernel.say('add', '/devices/x/host1', 'scsi');
    while ((await scanOf('host1')) !== '0 1 0') await new Promise(setImmediate);
    await comes('1:0:1:0', 'sdb');
    kernel.say('add', '/devices/x/block/sdb', 'block');
    await found;
  });

  it('that does not come is named', async () => {
    await assert.rejects(
      wait(50),
      (error) => hasCode(error, 'deadline_exceeded') && error.message === 'Timeout after 0.05s waiting for SCSI disk 1:0',
    );
  });
});
