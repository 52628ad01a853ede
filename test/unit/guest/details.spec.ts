import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasCode } from '../../../agent/errors.ts';
import { readGuestDetails } from '../../../agent/guest/details.ts';
import { needsNoPivot, readRootFsType } from '../../../agent/guest/root-fs.ts';

const AGENT = {
  version: '1',
  initDaemon: true,
  deviceHandlers: [],
  storageHandlers: ['blk'],
  supportsSeccomp: true,
  extraFeatures: [],
};

describe('the details of the guest', () => {
  let sysDir: string;
  const memory = () => join(sysDir, 'devices/system/memory');

  beforeEach(async () => {
    sysDir = await mkdtemp(join(tmpdir(), 'berth-details-'));
    await mkdir(memory(), { recursive: true });
  });
  afterEach(() => rm(sysDir, { recursive: true }));

  it('have the size of a memory block, which the kernel writes in hexadecimal', async () => {
    await writeFile(join(memory(), 'block_size_bytes'), '8000000\n');
    await writeFile(join(memory(), 'probe'), '');
    const details = await readGuestDetails({ memBlockSize: true, memHotplugProbe: true }, AGENT, sysDir);
    assert.deepEqual(details, { memBlockSizeBytes: 134217728n, supportMemHotplugProbe: true, agent: AGENT });
  });

  it('have it only when asked for', async () => {
    await writeFile(join(memory(), 'block_size_bytes'), '8000000\n');
    await writeFile(join(memory(), 'probe'), '');
    const details = await readGuestDetails({ memBlockSize: false, memHotplugProbe: false }, AGENT, sysDir);
    assert.deepEqual([details.memBlockSizeBytes, details.supportMemHotplugProbe], [0n, false]);
  });

  it('have zero where the kernel has no memory hot-plug', async () => {
    const details = await readGuestDetails({ memBlockSize: true, memHotplugProbe: true }, AGENT, sysDir);
    assert.deepEqual([details.memBlockSizeBytes, details.supportMemHotplugProbe], [0n, false]);
  });

  it('fail when the size is no number', async () => {
    await writeFile(join(memory(), 'block_size_bytes'), '0x80\n');
    await assert.rejects(readGuestDetails({ memBlockSize: true, memHotplugProbe: false }, AGENT, sysDir), (error) =>
      hasCode(error, 'internal'),
    );
  });
});

describe("the guest's root file system", () => {
  const mounts = (...types: string[]) => types.map((fstype) => ({ target: '/', fstype, source: '' }));

  it('is the one mounted last', async () => {
    assert.equal(await readRootFsType([...mounts('rootfs', 'erofs'), { target: '/proc', fstype: 'proc', source: '' }]), 'erofs');
    assert.equal(await readRootFsType([]), '');
  });

  it('cannot be pivoted away from only when it is the initramfs', async () => {
    assert.equal(needsNoPivot(await readRootFsType(mounts('rootfs'))), true);
    assert.equal(needsNoPivot(await readRootFsType(mounts('rootfs', 'erofs'))), false);
  });
});
