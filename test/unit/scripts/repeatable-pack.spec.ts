import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { imageUuid, packErofs } from '../../../scripts/image/erofs.ts';
import { guestInitramfs } from '../../../scripts/image/initramfs.ts';

/** Makes the same tree with the given order of creation and time stamps. */
async function plant(tree: string, names: readonly string[], seconds: number): Promise<void> {
  for (const name of names) {
    await mkdir(path.join(tree, name), { recursive: true });
    await writeFile(path.join(tree, name, 'text'), `${name} `.repeat(20_000));
    await writeFile(path.join(tree, name, 'program'), `#!/bin/sh\necho ${name}\n`);
    await chmod(path.join(tree, name, 'program'), 0o755);
    await symlink('text', path.join(tree, name, 'link'));
    for (const file of ['text', 'program', '.']) await utimes(path.join(tree, name, file), seconds, seconds);
  }
}

describe('packing an image', () => {
  let work: string;
  const at = (name: string) => path.join(work, name);
  const names = ['etc', 'usr', 'usr/lib', 'usr/lib/deep', 'var'];

  beforeEach(async () => {
    work = await mkdtemp(path.join(tmpdir(), 'berth-pack-'));
  });

  afterEach(() => rm(work, { recursive: true }));

  async function packed(folder: string): Promise<Buffer> {
    const image = path.join(work, folder, 'root.erofs');
    await packErofs(at(`${folder}/tree`), image, at('log'), true);
    return readFile(image);
  }

  it('gives the same bytes for the same tree, whenever and in whatever order it was made', async () => {
    await plant(at('one/tree'), names, 1_000_000_000);
    await plant(at('two/tree'), names.toReversed(), 1_700_000_000);
    const [one, two] = [await packed('one'), await packed('two')];
    assert.equal(one.readUInt32LE(1024).toString(16), 'e0f5e1e2', 'EROFS_SUPER_MAGIC_V1');
    assert.ok(one.equals(two));
  });

  it('gives other bytes when a content differs', async () => {
    await plant(at('one/tree'), names, 1_000_000_000);
    await plant(at('two/tree'), names, 1_000_000_000);
    await writeFile(at('two/tree/etc/text'), 'other');
    assert.ok(!(await packed('one')).equals(await packed('two')));
  });

  it('gives the same initramfs for the same kernel and init, with modules in load order', async () => {
    await mkdir(at('kernel/stage1'), { recursive: true });
    await writeFile(at('kernel/load-order'), 'z.ko\na.ko\n');
    for (const name of ['a.ko', 'z.ko']) await writeFile(at(`kernel/stage1/${name}`), `module ${name}`);
    await writeFile(at('init'), 'static binary');
    const one = await guestInitramfs(at('kernel'), at('init'));
    await utimes(at('kernel/stage1/a.ko'), 1, 1);
    assert.ok(one.equals(await guestInitramfs(at('kernel'), at('init'))));
    assert.ok(one.includes('/berth-stage1/ko/z.ko\n/berth-stage1/ko/a.ko\n'));
  });

  it('names each image with a fixed UUID of its own', () => {
    assert.match(imageUuid('root.erofs'), /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.notEqual(imageUuid('root.erofs'), imageUuid('debian.erofs'));
  });
});
