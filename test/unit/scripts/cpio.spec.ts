import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, readlink, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { type CpioEntry, cpioArchive } from '../../../scripts/image/cpio.ts';

describe('the cpio archive of an initramfs', () => {
  const entries: CpioEntry[] = [
    { path: 'bin', type: 'directory' },
    { path: 'bin/tool', type: 'file', content: Buffer.from('#!/bin/sh\n'), mode: 0o755 },
    { path: 'bin-more', type: 'file', content: Buffer.alloc(5, 7) },
    { path: 'empty', type: 'file', content: Buffer.alloc(0) },
    { path: 'link', type: 'link', target: 'bin/tool' },
  ];

  it('is read back by busybox with every name, content, mode and link', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'berth-cpio-'));
    try {
      const unpacked = spawnSync('busybox', ['cpio', '-idm'], { cwd: folder, input: cpioArchive(entries) });
      assert.equal(unpacked.status, 0, unpacked.stderr?.toString());
      assert.equal(await readFile(path.join(folder, 'bin/tool'), 'utf8'), '#!/bin/sh\n');
      assert.equal((await stat(path.join(folder, 'bin/tool'))).mode & 0o777, 0o755);
      assert.deepEqual(await readFile(path.join(folder, 'bin-more')), Buffer.alloc(5, 7));
      assert.equal((await stat(path.join(folder, 'empty'))).size, 0);
      assert.equal(await readlink(path.join(folder, 'link')), 'bin/tool');
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('has the same bytes whatever the order its entries come in', () => {
    const wanted = cpioArchive(entries);
    fc.assert(
      fc.property(fc.shuffledSubarray(entries, { minLength: entries.length }), (shuffled) =>
        wanted.equals(cpioArchive(shuffled)),
      ),
    );
  });

  it('puts every header on a multiple of four bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 9 }), fc.stringMatching(/^[a-z]{1,9}$/), (content, name) => {
        const archive = cpioArchive([{ path: name, type: 'file', content }]);
        const trailer = archive.lastIndexOf('070701');
        assert.equal(archive.length % 4, 0);
        assert.equal(trailer % 4, 0);
        assert.equal(archive.toString('latin1', trailer + 110, trailer + 120), 'TRAILER!!!');
      }),
    );
  });

  it('describes a device node by its numbers', () => {
    const archive = cpioArchive([{ path: 'dev/console', type: 'character', major: 5, minor: 1 }]);
    assert.equal(archive.toString('latin1', 14, 22), '00002180'); // character device, mode 0600
    assert.equal(archive.toString('latin1', 78, 94), '0000000500000001');
  });

  for (const bad of ['', '/etc', 'a/../b', 'a//b', '..', 'TRAILER!!!']) {
    it(`refuses the path ${JSON.stringify(bad)}`, () => {
      assert.throws(() => cpioArchive([{ path: bad, type: 'directory' }]), /no path below the root/);
    });
  }

  it('refuses a path given twice', () => {
    assert.throws(() => cpioArchive([...entries, { path: 'bin', type: 'directory' }]), /bin is given twice/);
  });
});
