import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { installedPackages, type Manifest, manifest } from '../../../scripts/image/manifest.ts';

const STATUS = `Package: zlib1g
Status: install ok installed
Version: 1:1.3
Description: a library
 Package: not this line

Package: gone
Status: deinstall ok config-files
Version: 2.0

Package: bash
Status: install ok installed
Version: 5.2-1
`;

describe("the image's manifest", () => {
  it('lists installed packages by name, and none that is only half gone', () => {
    assert.deepEqual(Object.entries(installedPackages(STATUS)), [
      ['bash', '5.2-1'],
      ['zlib1g', '1:1.3'],
    ]);
  });

  it('gives size and hash of every file of the image, not of itself nor of one being written', async () => {
    const work = await mkdtemp(path.join(tmpdir(), 'berth-manifest-'));
    const at = (name: string) => path.join(work, name);
    try {
      for (const folder of ['tree/var/lib/dpkg', 'kit/guest', 'kit/host', 'image']) await mkdir(at(folder), { recursive: true });
      await writeFile(at('tree/var/lib/dpkg/status'), STATUS);
      await writeFile(at('kit/guest/version'), 'linux-image-1-cloud 1.0\n');
      await writeFile(at('kit/host/version'), 'linux-image-1 1.0\n');
      await writeFile(at('image/root.erofs'), 'root');
      await writeFile(at('image/vmlinuz.new'), 'half');
      await writeFile(at('image/manifest.json'), 'old');
      const made = JSON.parse(await manifest(at('tree'), at('kit'), at('image'))) as Manifest;
      assert.deepEqual(made.kernels, { guest: 'linux-image-1-cloud 1.0', host: 'linux-image-1 1.0' });
      assert.deepEqual(made.files, { 'root.erofs': { bytes: 4, sha256: createHash('sha256').update('root').digest('hex') } });
    } finally {
      await rm(work, { recursive: true });
    }
  });
});
