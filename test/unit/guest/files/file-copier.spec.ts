import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, readlink, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hasCode } from '../../../../agent/errors.ts';
import type { ConfinedDoor } from '../../../../agent/guest/files/confined-directory.ts';
import { native } from '../../../../native/index.ts';
import { type CopyFixture, copyFixture, DIRECTORY, FILE, LINK, tree } from './copy-fixture.ts';

const mayChown = process.getuid?.() === 0;

describe('copying files into the guest', () => {
  let fixture: CopyFixture;
  const inShare = (path: string) => join(fixture.share, path);
  const openFds = async () => (await readdir('/proc/self/fd')).length;

  beforeEach(async () => {
    fixture = await copyFixture();
  });
  afterEach(() => fixture.remove());

  it('gives a small file its content and all bits of its mode', async () => {
    await fixture.copy('file', 'content', { fileMode: 0o104751 });
    assert.deepEqual(await tree(fixture.share), ['file 104751 content']);
  });

  it('makes an empty file by one request', async () => {
    await fixture.copy('empty', '');
    assert.deepEqual(await tree(fixture.share), ['empty 100644 ']);
  });

  it('makes missing parents with the mode given, and owners of the last of them only', async function () {
    if (!mayChown) return this.skip();
    await fixture.copy('a/b/file', 'x', { dirMode: 0o047710, uid: 1234, gid: 5678 });
    const [a, b, file] = await Promise.all(['a', 'a/b', 'a/b/file'].map((path) => stat(inShare(path))));
    assert.deepEqual(
      [a?.mode, b?.mode].map((mode) => (mode ?? 0) & 0o7777),
      [0o710, 0o710],
    );
    assert.deepEqual([a?.uid, a?.gid, b?.uid, b?.gid, file?.uid, file?.gid], [0, 0, 1234, 5678, 1234, 5678]);
  });

  it('leaves a parent that is there as it is', async () => {
    await mkdir(inShare('a'), { mode: 0o700 });
    await fixture.copy('a/file', 'x', { dirMode: 0o777, uid: mayChown ? 1234 : -1 });
    assert.equal((await stat(inShare('a'))).mode & 0o7777, 0o700);
    assert.equal((await stat(inShare('a'))).uid, process.getuid?.());
  });

  it('leaves owners for -1, and set-user-ID in place where it changes them', async function () {
    if (!mayChown) return this.skip();
    await fixture.copy('file', 'x', { uid: -1, gid: 77, fileMode: 0o104755 });
    const { uid, gid, mode } = await stat(inShare('file'));
    assert.deepEqual([uid, gid, mode], [0, 77, 0o104755]);
  });

  it('shows the old file until every piece of the new one is there, in whatever order they come', async () => {
    await writeFile(inShare('file'), 'old');
    const piece = (data: string, offset: number) => fixture.copy('file', data, { fileSize: 9, offset });
    await piece('ghi', 6);
    assert.equal(await readFile(inShare('file'), 'utf8'), 'old');
    await piece('def', 3);
    assert.equal(await readFile(inShare('file'), 'utf8'), 'old');
    // From the start: what came before is another attempt.
    await piece('ABC', 0);
    await piece('GHI', 6);
    await piece('DEF', 3);
    assert.deepEqual(await tree(fixture.share), ['file 100644 ABCDEFGHI']);
  });

  it('takes the pieces of one file one after the other even when they are sent at once', async () => {
    const text = 'x'.repeat(10) + 'y'.repeat(10) + 'z'.repeat(10);
    await Promise.all(
      [0, 10, 20].map((offset) => fixture.copy('file', text.slice(offset, offset + 10), { fileSize: 30, offset })),
    );
    assert.equal(await readFile(inShare('file'), 'utf8'), text);
  });

  it('keeps files apart whose names differ by the ending, and a real foo.tmp', async () => {
    await writeFile(inShare('foo.tmp'), 'mine');
    const piece = (name: string, data: string, offset: number) => fixture.copy(name, data, { fileSize: 4, offset });
    await piece('foo.a', 'aa', 0);
    await piece('foo.b', 'bb', 0);
    await piece('foo.a', 'AA', 2);
    await piece('foo.b', 'BB', 2);
    assert.deepEqual(await tree(fixture.share), ['foo.a 100644 aaAA', 'foo.b 100644 bbBB', 'foo.tmp 100644 mine']);
  });

  it('makes a directory, keeps the content of one that is there, and replaces what is none', async () => {
    await fixture.copy('new', '', { fileMode: DIRECTORY });
    await mkdir(inShare('kept'));
    await writeFile(inShare('kept/file'), 'x');
    await fixture.copy('kept', '', { fileMode: 0o042750 });
    await writeFile(inShare('file'), 'x');
    await fixture.copy('file', '', { fileMode: DIRECTORY });
    assert.deepEqual(await tree(fixture.share), ['file 40755 ', 'kept 42750 ', 'kept/file 100644 x', 'new 40755 ']);
  });

  it('makes links with any target, and replaces what is there', async () => {
    for (const target of ['/etc/passwd', '../../x', '..data/file', 'a b']) {
      await fixture.copy('link', target, { fileMode: LINK });
      assert.equal(await readlink(inShare('link')), target);
    }
    await mkdir(inShare('tree/a'), { recursive: true });
    await fixture.copy('tree', 'x', { fileMode: LINK });
    assert.deepEqual(await tree(fixture.share), ['link 120777 a b', 'tree 120777 x']);
  });

  it('gives a link its owner and not what it leads to', async function () {
    if (!mayChown) return this.skip();
    await writeFile(inShare('file'), 'x');
    await fixture.copy('link', 'file', { fileMode: LINK, uid: 1234, gid: 1234 });
    assert.equal((await stat(inShare('file'))).uid, 0);
  });

  for (const [title, more, field] of [
    ['a device', { fileMode: 0o020644 }, 'file_mode'],
    ['a disk', { fileMode: 0o060644 }, 'file_mode'],
    ['a socket', { fileMode: 0o140644 }, 'file_mode'],
    ['a pipe', { fileMode: 0o010644 }, 'file_mode'],
    ['a user of -2', { uid: -2 }, 'uid'],
    ['a group of -2', { gid: -2 }, 'gid'],
    ['a negative size', { fileSize: -1 }, 'file_size'],
    ['a size beyond all sizes', { fileSize: 2 ** 60 }, 'file_size'],
    ['a negative place', { offset: -1 }, 'offset'],
    ['bytes beyond the end', { offset: 1 }, 'offset'],
    ['more bytes than the file has', { fileSize: 1 }, 'offset'],
    ['a link without a target', { fileMode: LINK, data: new Uint8Array() }, 'data'],
    ['a link with a NUL in its target', { fileMode: LINK, data: Buffer.from('a\0') }, 'data'],
    ['a link with a target of 4096 bytes', { fileMode: LINK, data: Buffer.alloc(4096, 'x') }, 'data'],
  ] as const) {
    it(`refuses ${title} by the field ${field}, and leaves nothing`, async () => {
      await assert.rejects(
        fixture.copy('file', 'xy', more),
        (error) => hasCode(error, 'invalid_argument') && error.fields['field'] === field,
      );
      assert.deepEqual(await tree(fixture.share), []);
    });
  }

  it('refuses a piece of another size than those before', async () => {
    await fixture.copy('file', 'ab', { fileSize: 4 });
    await assert.rejects(fixture.copy('file', 'cd', { fileSize: 5, offset: 2 }), (error) => hasCode(error, 'invalid_argument'));
  });

  it('gives up what is not sent on, leaving neither file nor fd', async () => {
    await fixture.remove();
    fixture = await copyFixture(undefined, 20);
    const before = await openFds();
    await fixture.copy('file', 'ab', { fileSize: 4 });
    assert.equal((await readdir(fixture.share)).length, 1);
    const deadline = Date.now() + 5_000;
    while ((await readdir(fixture.share)).length > 0 && Date.now() < deadline) await new Promise((next) => setTimeout(next, 10));
    assert.deepEqual(await readdir(fixture.share), []);
    assert.equal(await openFds(), before);
  });

  it('leaks no fd over successes, refusals and failures', async () => {
    await symlink('/etc', inShare('out'));
    const round = async () => {
      await fixture.copy('a/file', 'x');
      await fixture.copy('a/link', 'x', { fileMode: LINK });
      await fixture.copy('a', '', { fileMode: DIRECTORY });
      await assert.rejects(fixture.copy('out/file', 'x'));
      await assert.rejects(fixture.copy('a/file/below', 'x'));
    };
    await round();
    const before = await openFds();
    for (let at = 0; at < 5; at++) await round();
    assert.equal(await openFds(), before);
  });

  it('holds three threads at most when the share hangs, and goes on when it is back', async () => {
    await fixture.remove();
    const door = native();
    const { promise: back, resolve: comeBack } = Promise.withResolvers<void>();
    let hanging = 0;
    const openBeneath: ConfinedDoor['openBeneath'] = async (...args) => {
      hanging++;
      await back;
      return await door.openBeneath(...args);
    };
    fixture = await copyFixture({ openBeneath, close: (fd) => door.close(fd) });
    const copies = Array.from({ length: 20 }, (_, at) => fixture.copy(`file${at}`, 'x'));
    await new Promise((next) => setTimeout(next, 50));
    assert.equal(hanging, 3);
    comeBack();
    await Promise.all(copies);
    assert.equal((await readdir(fixture.share)).length, 20);
  });

  it('copies so many files at a time and no more', async () => {
    for (let at = 0; at < 64; at++) await fixture.copy(`file${at}`, 'x', { fileSize: 2 });
    await assert.rejects(fixture.copy('one-more', 'x'), (error) => hasCode(error, 'resource_exhausted'));
    await fixture.copy('file0', 'x', { fileSize: 2, offset: 1 });
    await fixture.copy('one-more', 'x', { fileMode: FILE });
    for (let at = 1; at < 64; at++) await fixture.copy(`file${at}`, 'x', { fileSize: 2, offset: 1 });
    assert.equal((await readdir(fixture.share)).length, 65);
  });
});
