// Archives that want to land elsewhere, hold what nobody makes, or never end: refused by the member, and nothing outside changes.
import assert from 'node:assert/strict';
import { constants } from 'node:fs';
import { link, mkdir, mkdtemp, open, readdir, readFile, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Code, hasCode } from '../../../../agent/errors.ts';
import { O_PATH } from '../../../../agent/guest/files/file-root.ts';
import { END_BYTES, paddingOf, type TarEntry } from '../../../../agent/guest/files/tar/entry.ts';
import { readTar } from '../../../../agent/guest/files/tar/reader.ts';
import { tarHeader } from '../../../../agent/guest/files/tar/write-header.ts';
import { TreeUnpacker, type UnpackOptions } from '../../../../agent/guest/files/unpack-tree.ts';
import { native } from '../../../../native/index.ts';

type Member = Partial<Omit<TarEntry, 'name' | 'linkName'>> & { name: string; linkName?: string; content?: string };

function archive(...members: Member[]): Buffer {
  const blocks = members.map(({ name, linkName = '', content = '', ...entry }) => {
    const whole = { type: 'file', mode: 0o644, uid: 0, gid: 0, modified: 0, size: content.length, ...entry } as const;
    const header = tarHeader({ ...whole, name: Buffer.from(name), linkName: Buffer.from(linkName) });
    return Buffer.concat([header, Buffer.from(content), Buffer.alloc(paddingOf(content.length))]);
  });
  return Buffer.concat([...blocks, Buffer.alloc(END_BYTES)]);
}

describe('unpacking a hostile archive', () => {
  let folder: string;
  let target: string;
  let outside: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'berth-unpack-'));
    target = join(folder, 'target');
    outside = join(folder, 'outside');
    await mkdir(target);
    await mkdir(outside);
    await writeFile(join(outside, 'secret'), 'secret');
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  async function unpack(bytes: Buffer, options: Partial<UnpackOptions> = {}): Promise<TreeUnpacker> {
    await using base = await open(target, O_PATH | constants.O_DIRECTORY);
    const unpacker = new TreeUnpacker(base.fd, native(), { keepSetId: false, maxEntries: 0, maxBytes: 0, ...options });
    async function* source() {
      yield bytes;
    }
    try {
      for await (const member of readTar(source())) await unpacker.unpack(member);
    } finally {
      unpacker.close();
    }
    return unpacker;
  }

  const attacks: readonly { title: string; members: readonly Member[]; code: Code }[] = [
    { title: 'an absolute name', members: [{ name: '/etc/cron.d/x', content: 'x' }], code: 'invalid_argument' },
    { title: 'a name with `..`', members: [{ name: 'a/../../outside/new', content: 'x' }], code: 'invalid_argument' },
    {
      title: 'a member behind its own absolute link',
      members: [
        { name: 'l', type: 'symlink', linkName: 'OUTSIDE' },
        { name: 'l/new', content: 'x' },
      ],
      code: 'failed_precondition',
    },
    {
      title: 'a member behind its own relative link',
      members: [
        { name: 'l', type: 'symlink', linkName: '../outside' },
        { name: 'l/new', content: 'x' },
      ],
      code: 'failed_precondition',
    },
    {
      title: 'a directory behind a link',
      members: [
        { name: 'l', type: 'symlink', linkName: '../outside' },
        { name: 'l/new/', type: 'directory' },
      ],
      code: 'failed_precondition',
    },
    {
      title: 'a directory that is a link by then',
      members: [
        { name: 'l', type: 'symlink', linkName: '../outside' },
        { name: 'l/', type: 'directory', mode: 0o777 },
      ],
      code: 'failed_precondition',
    },
    {
      title: 'a hard link to an absolute name',
      members: [{ name: 'l', type: 'link', linkName: 'OUTSIDE/secret' }],
      code: 'invalid_argument',
    },
    {
      title: 'a hard link that climbs out',
      members: [{ name: 'l', type: 'link', linkName: '../outside/secret' }],
      code: 'invalid_argument',
    },
    {
      title: 'a hard link through a link',
      members: [
        { name: 'd', type: 'symlink', linkName: '../outside' },
        { name: 'l', type: 'link', linkName: 'd/secret' },
      ],
      code: 'failed_precondition',
    },
    {
      title: 'a hard link to a link',
      members: [
        { name: 'd', type: 'symlink', linkName: '../outside/secret' },
        { name: 'l', type: 'link', linkName: 'd' },
      ],
      code: 'failed_precondition',
    },
    { title: 'an empty name', members: [{ name: '', content: 'x' }], code: 'invalid_argument' },
    {
      title: 'a file in place of the directory itself',
      members: [{ name: './', type: 'symlink', linkName: 'x' }],
      code: 'invalid_argument',
    },
    { title: 'a name of 5000 bytes', members: [{ name: 'x/'.repeat(2500), content: 'x' }], code: 'invalid_argument' },
    { title: 'a component of 300 bytes', members: [{ name: 'x'.repeat(300), content: 'x' }], code: 'invalid_argument' },
    { title: '200 directories in each other', members: [{ name: `${'d/'.repeat(200)}x` }], code: 'invalid_argument' },
  ];
  for (const { title, members, code } of attacks) {
    it(`refuses ${title}`, async () => {
      const told = members.map((member) => ({
        ...member,
        ...(member.linkName ? { linkName: member.linkName.replace('OUTSIDE', outside) } : {}),
      }));
      await assert.rejects(unpack(archive(...told)), (error) => hasCode(error, code), title);
      assert.deepEqual(await readdir(outside), ['secret']);
      assert.equal((await stat(outside)).mode & 0o777, 0o755 & ~process.umask());
      assert.equal((await stat(join(outside, 'secret'))).nlink, 1);
    });
  }

  it('refuses devices, pipes and sparse files', async () => {
    for (const type of ['3', '4', '6', 'S']) {
      const bytes = archive({ name: 'x' });
      // As a header of that kind, its checksum made right again.
      bytes.write(type, 156);
      const sum = Number.parseInt(bytes.toString('latin1', 148, 154), 8) + type.charCodeAt(0) - '0'.charCodeAt(0);
      bytes.write(sum.toString(8).padStart(6, '0'), 148);
      await assert.rejects(unpack(bytes), (error) => hasCode(error, 'invalid_argument'), type);
    }
    assert.deepEqual(await readdir(target), []);
  });

  it('replaces what links are in the way, and follows none', async () => {
    await symlink(join(outside, 'secret'), join(target, 'file'));
    await link(join(outside, 'secret'), join(target, 'hard'));
    await unpack(archive({ name: 'file', content: 'new' }, { name: 'hard', content: 'new' }));
    assert.equal(await readFile(join(outside, 'secret'), 'utf8'), 'secret');
    assert.equal(await readFile(join(target, 'file'), 'utf8'), 'new');
  });

  it('goes through a link to a directory beneath, as roots have them', async () => {
    await mkdir(join(target, 'usr/lib'), { recursive: true });
    await symlink('usr/lib', join(target, 'lib'));
    await unpack(archive({ name: 'lib/', type: 'directory', mode: 0o777 }, { name: 'lib/new', content: 'x' }));
    assert.deepEqual(await readdir(join(target, 'usr/lib')), ['new']);
    assert.equal(await readlink(join(target, 'lib')), 'usr/lib');
  });

  it('takes the target of a link as it is, since nobody here follows it', async () => {
    await unpack(archive({ name: 'l', type: 'symlink', linkName: '/etc/shadow' }));
    assert.equal(await readlink(join(target, 'l')), '/etc/shadow');
  });

  it('never puts a file in the place of a directory', async () => {
    await mkdir(join(target, 'directory/full'), { recursive: true });
    await assert.rejects(unpack(archive({ name: 'directory', content: 'x' })), (error) => hasCode(error, 'failed_precondition'));
    assert.deepEqual(await readdir(target), ['directory']);
  });

  it('stops at the members and the bytes that were asked for', async () => {
    const three = archive({ name: 'a', content: '12345' }, { name: 'b', content: '12345' }, { name: 'c', content: '12345' });
    await assert.rejects(unpack(three, { maxEntries: 2 }), (error) => hasCode(error, 'resource_exhausted'));
    assert.deepEqual((await readdir(target)).sort(), ['a', 'b']);
    await assert.rejects(unpack(three, { maxBytes: 7 }), (error) => hasCode(error, 'resource_exhausted'));
    assert.deepEqual([(await unpack(three)).entries, (await unpack(three)).bytes], [3, 15]);
  });

  it('leaves nothing of a file whose archive breaks off', async () => {
    const whole = archive({ name: 'file', content: 'x'.repeat(5000) });
    for (const length of [600, 3000, whole.length - END_BYTES]) {
      await rm(join(target, 'file'), { force: true });
      await assert.rejects(unpack(whole.subarray(0, length)), (error) => hasCode(error, 'invalid_argument'), `${length}`);
      assert.deepEqual(await readdir(target), length < whole.length - END_BYTES ? [] : ['file']);
    }
  });
});
