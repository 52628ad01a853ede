import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { addBootSector, IMAGE_ALIGNMENT_BYTES, masterBootRecord } from '../../../scripts/image/boot-sector.ts';

describe('the boot sector of the root image', () => {
  it('has one Linux partition that is the whole disk', () => {
    const record = masterBootRecord(IMAGE_ALIGNMENT_BYTES);
    assert.equal(record.length, 512);
    assert.equal(record.toString('hex', 510), '55aa');
    const entry = record.subarray(446, 462);
    assert.deepEqual([entry[0], entry[4], entry.readUInt32LE(8), entry.readUInt32LE(12)], [0, 0x83, 0, 4096]);
    assert.ok(record.subarray(462, 510).every((byte) => byte === 0));
  });

  it('is refused for what is no number of sectors', () => {
    for (const bytes of [0, 511, 513, 2 ** 41 + 512]) assert.throws(() => masterBootRecord(bytes), RangeError);
  });

  it('leaves everything from the superblock on as it was, and pads the image for an NVDIMM', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'berth-boot-sector-'));
    try {
      const image = join(directory, 'root');
      const content = Buffer.alloc(IMAGE_ALIGNMENT_BYTES + 4096, 0xab);
      await writeFile(image, content);
      await addBootSector(image);
      const written = await readFile(image);
      assert.equal(written.length, 2 * IMAGE_ALIGNMENT_BYTES);
      assert.deepEqual(written.subarray(512, content.length), content.subarray(512));
      assert.ok(written.subarray(content.length).every((byte) => byte === 0));
      assert.deepEqual(written.subarray(0, 512), masterBootRecord(written.length));
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});
