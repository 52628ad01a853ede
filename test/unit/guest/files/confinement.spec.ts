// Copies into a share that a container has prepared. Whatever it planted, nothing outside the share changes.
import assert from 'node:assert/strict';
import { link, mkdir, open, readFile, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hasCode } from '../../../../agent/errors.ts';
import type { ConfinedDoor } from '../../../../agent/guest/files/confined-directory.ts';
import { type CopyFixture, copyFixture, DIRECTORY, FILE, LINK, tree } from './copy-fixture.ts';

interface Attack {
  title: string;
  /** Links in the share: name to target; OUT stands for the place outside. */
  links: Record<string, string>;
  path: string;
  type?: number;
  /** What comes of it when it is not an error. */
  leaves?: RegExp;
}

const ATTACKS: readonly Attack[] = [
  { title: 'a parent that is an absolute link', links: { link: 'OUT' }, path: 'link/secret' },
  { title: 'a parent that is a relative link', links: { link: '../outside' }, path: 'link/secret' },
  { title: 'a new file behind such a link', links: { link: '../outside' }, path: 'link/new' },
  { title: 'new directories behind such a link', links: { link: 'OUT' }, path: 'link/a/b/c' },
  { title: 'a directory behind a link', links: { link: 'OUT' }, path: 'link/directory', type: DIRECTORY },
  { title: 'a link behind a link', links: { link: 'OUT' }, path: 'link/secret', type: LINK },
  { title: 'a chain of links', links: { one: 'two', two: 'three', three: '../outside' }, path: 'one/secret' },
  { title: 'a link in the middle', links: { link: 'OUT' }, path: 'link/directory/new' },
  { title: 'a link that goes down and climbs out', links: { link: 'sub/../../outside' }, path: 'link/secret' },
  { title: 'a link to the root of the guest', links: { link: '/' }, path: 'link/new' },
  { title: 'a link to its own process', links: { link: '/proc/self/root' }, path: 'link/new' },
  { title: 'a link to its own working directory', links: { link: '/proc/self/cwd' }, path: 'link/new' },
  { title: 'a link to itself', links: { link: 'link' }, path: 'link/new' },
  { title: 'a link that leads nowhere', links: { link: '../outside/none' }, path: 'link/new' },
  { title: 'a link that leads nowhere inside', links: { link: 'none' }, path: 'link/new' },
  { title: 'a file on the way', links: {}, path: 'sub/file/new' },
  { title: 'a target that is a link to a file', links: { file: 'OUT/secret' }, path: 'file', leaves: /^file 100644 new$/m },
  { title: 'a target that is a relative link', links: { file: '../outside/secret' }, path: 'file', leaves: /^file 100644 new$/m },
  { title: 'a target that is a link to a directory', links: { dir: 'OUT' }, path: 'dir', leaves: /^dir 100644 new$/m },
  {
    title: 'a directory over a link to a directory',
    links: { dir: 'OUT/directory' },
    path: 'dir',
    type: DIRECTORY,
    leaves: /^dir 40755 $/m,
  },
  { title: 'a link over a link', links: { dir: 'OUT' }, path: 'dir', type: LINK, leaves: /^dir 120777 new$/m },
];

describe('copying into a share with hostile content', () => {
  let fixture: CopyFixture;

  beforeEach(async () => {
    fixture = await copyFixture();
    await mkdir(join(fixture.share, 'sub'));
    await writeFile(join(fixture.share, 'sub/file'), 'old');
  });
  afterEach(() => fixture.remove());

  async function plant({ share, outside }: CopyFixture, links: Record<string, string>): Promise<void> {
    for (const [name, target] of Object.entries(links)) await symlink(target.replace('OUT', outside), join(share, name));
  }

  for (const { title, links, path, type = FILE, leaves } of ATTACKS) {
    it(`${leaves ? 'replaces' : 'refuses'} ${title} and changes nothing outside`, async () => {
      await plant(fixture, links);
      const before = await fixture.outsideState();
      const copied = fixture.copy(path, 'new', { fileMode: type, uid: -1, gid: -1 });
      if (leaves) {
        await copied;
        assert.match((await tree(fixture.share)).join('\n'), leaves);
      } else {
        await assert.rejects(copied, (error) => hasCode(error, 'failed_precondition') && error.fields['field'] === 'path');
        assert.doesNotMatch((await tree(fixture.share)).join('\n'), /new|\.berth-copy/);
      }
      assert.deepEqual(await fixture.outsideState(), before);
    });
  }

  for (const path of ['/tmp/x', '/run/kata-containers/shared/foo', 'SHARE', 'SHARE/', 'SHARE/.', 'SHARE-2/x', 'x', '']) {
    it(`refuses the path ${JSON.stringify(path)}`, async () => {
      const absolute = path.replace('SHARE', fixture.share);
      await assert.rejects(fixture.copy(path, 'new', { path: absolute }), (error) => !isSystemError(error));
    });
  }

  it('names the prefix that a path outside does not have', async () => {
    await assert.rejects(
      fixture.copy('/tmp/x', 'new'),
      (error) =>
        hasCode(error, 'failed_precondition') && error.message.startsWith(`removing "${fixture.share}" prefix from "/tmp/x"`),
    );
  });

  for (const path of ['../outside/secret', 'sub/../../outside/secret', 'sub/../sub/file', '..', 'sub/..']) {
    it(`refuses ${path}, even where it would come back`, async () => {
      const before = await fixture.outsideState();
      await assert.rejects(fixture.copy('', 'new', { path: `${fixture.share}/${path}` }), (error) =>
        hasCode(error, 'failed_precondition'),
      );
      assert.deepEqual(await fixture.outsideState(), before);
    });
  }

  for (const [title, path] of [
    ['a NUL character', 'a\0b'],
    ['a name of 256 bytes', 'x'.repeat(256)],
    ['a path of 5000 bytes', 'x/'.repeat(2500)],
    ['200 directories in each other', `${'d/'.repeat(200)}x`],
  ] as const) {
    it(`refuses ${title}`, async () => {
      await assert.rejects(fixture.copy('', 'new', { path: `${fixture.share}/${path}` }), (error) =>
        hasCode(error, 'invalid_argument'),
      );
      assert.deepEqual(await tree(fixture.share), ['sub 40755 ', 'sub/file 100644 old']);
    });
  }

  it('does not write through a hard link to a file outside', async () => {
    await link(join(fixture.outside, 'secret'), join(fixture.share, 'file'));
    await fixture.copy('file', 'new');
    assert.equal(await readFile(join(fixture.outside, 'secret'), 'utf8'), 'secret');
    assert.equal(await readFile(join(fixture.share, 'file'), 'utf8'), 'new');
  });

  it('removes a tree in the way without following the links in it', async () => {
    await mkdir(join(fixture.share, 'tree/deep'), { recursive: true });
    await plant(fixture, { 'tree/deep/out': 'OUT', 'tree/link': '../../outside' });
    await writeFile(Buffer.from(`${fixture.share}/tree/\xff\xfe`, 'latin1'), 'a name that is not UTF-8');
    const before = await fixture.outsideState();
    await fixture.copy('tree', 'new');
    assert.equal(await readFile(join(fixture.share, 'tree'), 'utf8'), 'new');
    assert.deepEqual(await fixture.outsideState(), before);
  });

  it('follows a link that stays inside, as the host made it', async () => {
    await plant(fixture, { '..data': 'sub' });
    await fixture.copy('..data/file', 'new');
    assert.equal(await readFile(join(fixture.share, 'sub/file'), 'utf8'), 'new');
  });

  it('goes on writing where it began when a directory is swapped for a link between two pieces', async () => {
    const before = await fixture.outsideState();
    const piece = { fileSize: 4, path: join(fixture.share, 'sub/two') };
    await fixture.copy('', 'ab', piece);
    await rename(join(fixture.share, 'sub'), join(fixture.share, 'moved'));
    await plant(fixture, { sub: 'OUT' });
    await fixture.copy('', 'cd', { ...piece, offset: 2 });
    assert.equal(await readFile(join(fixture.share, 'moved/two'), 'utf8'), 'abcd');
    assert.deepEqual(await fixture.outsideState(), before);
  });

  it('is held by openat2: by names alone the same requests change what is outside', async () => {
    const byName: ConfinedDoor = {
      openBeneath: async (directory, path, flags) => {
        const handle = await open(`/proc/self/fd/${directory}/${path}`, flags & ~0o10000000);
        naive.push(handle);
        return handle.fd;
      },
      close: () => {},
    };
    const naive: { close(): Promise<void> }[] = [];
    const open1 = await copyFixture(byName);
    await plant(open1, { link: '../outside' });
    const before = await open1.outsideState();
    await open1.copy('link/secret', 'new');
    assert.notDeepEqual(await open1.outsideState(), before);
    for (const handle of naive) await handle.close();
    await open1.remove();
  });
});

function isSystemError(error: unknown): boolean {
  return !(hasCode(error, 'failed_precondition') || hasCode(error, 'invalid_argument'));
}
