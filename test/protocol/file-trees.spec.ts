// Trees of files of berth.v1, end to end: names, tar archives beside tar(1), changes.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, link, mkdir, readdir, readFile, readlink, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { berth } from '#proto/berth.js';
import { type Code, hasCode } from '../../agent/errors.ts';
import type { FileChange } from '../../client/api/file-watch.ts';
import { Link } from '../../client/api/link.ts';
import { FILES } from '../../client/api/methods.ts';
import { AgentFiles } from '../support/agent-files.ts';

const code = (wanted: Code) => (error: unknown) => hasCode(error, wanted);

describe('trees of the files of berth.v1', function () {
  this.timeout(60_000);
  const files = AgentFiles.forTests();

  describe('and their names', () => {
    it('are told: type, mode, target of a link', async () => {
      await files.guest.files.makeDirectory(files.at('a/b/c'), { makeParents: true, mode: 0o1777 });
      await symlink('../b/c', files.at('a/b/link'));
      assert.equal((await files.guest.files.stat(files.at('a/b/c'))).mode, 0o1777);
      assert.equal((await files.guest.files.stat(files.at('a/b/link'))).type, 'directory');
      const { type, linkTarget } = await files.guest.files.stat(files.at('a/b/link'), { noFollow: true });
      assert.deepEqual([type, linkTarget], ['symlink', '../b/c']);
      assert.equal((await files.guest.files.stat('/')).name, '/');
      await assert.rejects(files.guest.files.stat(files.at('none')), code('not_found'));
      await assert.rejects(files.guest.files.makeDirectory(files.at('a')), code('already_exists'));
      await files.guest.files.makeDirectory(files.at('a'), { makeParents: true });
    });

    it('are moved and removed', async () => {
      await writeFile(files.at('one'), '1');
      await writeFile(files.at('two'), '2');
      await assert.rejects(
        files.guest.files.rename(files.at('one'), files.at('two'), { noReplace: true }),
        code('already_exists'),
      );
      assert.equal((await files.guest.files.rename(files.at('one'), files.at('two'))).name, 'two');
      assert.equal(await readFile(files.at('two'), 'utf8'), '1');
      await files.guest.files.remove(files.at('two'));
      await assert.rejects(files.guest.files.remove(files.at('two')), code('not_found'));
      await assert.rejects(files.guest.files.remove(files.at('two'), { recursive: true }), code('not_found'));
      await files.guest.files.remove(files.at('two'), { missingOk: true });
    });

    it('are removed with all below them, but nothing that links lead to', async () => {
      await mkdir(files.at('keep'));
      await writeFile(files.at('keep/file'), 'x');
      await mkdir(files.at('tree/deep/er'), { recursive: true });
      await symlink(files.at('keep'), files.at('tree/deep/link'));
      await assert.rejects(files.guest.files.remove(files.at('tree')), code('failed_precondition'));
      await files.guest.files.remove(files.at('tree'), { recursive: true });
      assert.deepEqual(await readdir(files.folder), ['keep']);
      assert.deepEqual(await readdir(files.at('keep')), ['file']);
      await assert.rejects(files.guest.files.remove('/', { recursive: true }), code('invalid_argument'));
    });

    it('are listed, thousands of them, and removed again', async () => {
      await mkdir(files.at('many'));
      const names = Array.from({ length: 3000 }, (_, number) => `file-${number}`);
      for (const name of names) await writeFile(files.at(`many/${name}`), '');
      await symlink('nowhere', files.at('many/link'));
      const listed = await Array.fromAsync(files.guest.files.list(files.at('many')), ({ name, type }) => `${name} ${type}`);
      assert.deepEqual(listed.sort(), [...names.map((name) => `${name} regular`), 'link symlink'].sort());
      await files.guest.files.remove(files.at('many'), { recursive: true });
      assert.deepEqual(await readdir(files.folder), []);
    });
  });

  describe('in a tar archive', () => {
    async function plant(): Promise<void> {
      await mkdir(files.at('tree/sub'), { recursive: true });
      await writeFile(files.at('tree/file'), randomBytes(700_000));
      await writeFile(files.at('tree/empty'), '');
      await writeFile(files.at(`tree/sub/${'long '.repeat(40)}`), 'long name');
      await link(files.at('tree/file'), files.at('tree/sub/hard'));
      await symlink('../file', files.at('tree/sub/link'));
      await chmod(files.at('tree/empty'), 0o4711);
      execFileSync('mkfifo', [files.at('tree/pipe')]);
    }

    it('come out as they are, as tar(1) reads them', async () => {
      await plant();
      const archive = files.guest.files.tarOut(files.at('tree'));
      await writeFile(files.at('tree.tar'), archive);
      assert.deepEqual(archive.packed, { entries: 7, skipped: 1 });
      await mkdir(files.at('copy'));
      execFileSync('tar', ['-xpf', files.at('tree.tar'), '-C', files.at('copy')]);
      await rm(files.at('tree/pipe'));
      execFileSync('diff', ['-r', '--no-dereference', files.at('tree'), files.at('copy')]);
      assert.equal((await stat(files.at('copy/empty'))).mode & 0o7777, 0o4711);
      assert.equal((await stat(files.at('copy/sub/hard'))).ino, (await stat(files.at('copy/file'))).ino);
    });

    for (const form of ['ustar', 'pax', 'gnu', 'v7']) {
      it(`go in as tar(1) writes them in the form ${form}`, async () => {
        await plant();
        await rm(files.at('tree/pipe'));
        if (form === 'ustar' || form === 'v7') await rm(files.at(`tree/sub/${'long '.repeat(40)}`));
        execFileSync('tar', ['-cf', files.at('tree.tar'), `--format=${form}`, '-C', files.at('tree'), '.']);
        const unpacked = await files.guest.files.tarIn(files.at('copy'), createReadStream(files.at('tree.tar')), {
          makeParents: true,
        });
        assert.ok(unpacked.entries >= 6);
        execFileSync('diff', ['-r', '--no-dereference', files.at('tree'), files.at('copy')]);
        assert.equal((await stat(files.at('copy/empty'))).mode & 0o7777, 0o711, 'set-id bits are cleared');
        await files.guest.files.tarIn(files.at('copy'), createReadStream(files.at('tree.tar')), { keepSetId: true });
        assert.equal((await stat(files.at('copy/empty'))).mode & 0o7777, 0o4711);
        assert.equal((await stat(files.at('copy/sub/hard'))).ino, (await stat(files.at('copy/file'))).ino);
        assert.ok((await readdir(files.at('copy'))).every((name) => !name.startsWith('.berth')));
      });
    }

    it('go out and in again unchanged', async () => {
      await plant();
      await files.guest.files.tarIn(files.at('copy'), files.guest.files.tarOut(files.at('tree')), { makeParents: true });
      await rm(files.at('tree/pipe'));
      execFileSync('diff', ['-r', '--no-dereference', files.at('tree'), files.at('copy')]);
      assert.equal(await readlink(files.at('copy/sub/link')), '../file');
    });

    it('leave out what the kernel has mounted below', async () => {
      await mkdir(files.at('tree/proc'), { recursive: true });
      execFileSync('mount', ['-t', 'proc', 'none', files.at('tree/proc')]);
      try {
        const archive = files.guest.files.tarOut(files.at('tree'));
        for await (const _ of archive);
        assert.equal(archive.packed?.entries, 2);
      } finally {
        execFileSync('umount', [files.at('tree/proc')]);
      }
    });

    it('of one file holds that', async () => {
      await writeFile(files.at('one'), 'content');
      await writeFile(files.at('one.tar'), files.guest.files.tarOut(files.at('one')));
      assert.equal(execFileSync('tar', ['-tf', files.at('one.tar')]).toString(), 'one\n');
    });
  });

  describe('that are watched', () => {
    async function follow(path: string, changing: () => Promise<void>, last: (change: FileChange) => boolean): Promise<string[]> {
      const seen: string[] = [];
      for await (const change of files.guest.files.watch(path, { recursive: true })) {
        seen.push(
          ['path' in change ? `${change.kind} ${change.path}` : change.kind, ...('to' in change ? [change.to] : [])].join(' '),
        );
        if (change.kind === 'watching') await changing();
        if (last(change)) break;
      }
      return seen;
    }

    it('tell what comes, changes, moves and goes, also in directories that come later', async () => {
      await mkdir(files.at('old'));
      const seen = await follow(
        files.folder,
        async () => {
          await writeFile(files.at('old/file'), 'x');
          await mkdir(files.at('new/deep'), { recursive: true });
          await sleep(200);
          await writeFile(files.at('new/deep/file'), 'x');
          await rename(files.at('new'), files.at('moved'));
          await sleep(200);
          await chmod(files.at('moved/deep/file'), 0o600);
          await rm(files.at('moved'), { recursive: true });
        },
        (change) => change.kind === 'removed' && change.path === 'moved',
      );
      for (const wanted of [
        'watching',
        'created old/file',
        'modified old/file',
        'created new',
        'created new/deep',
        'created new/deep/file',
        'moved new moved',
        'attributes moved/deep/file',
        'removed moved/deep/file',
        'removed moved/deep',
        'removed moved',
      ]) {
        assert.ok(seen.includes(wanted), `${wanted} in ${seen.join(', ')}`);
      }
    });

    it('end with what is watched', async () => {
      await mkdir(files.at('tree'));
      const seen = await follow(
        files.at('tree'),
        () => rm(files.at('tree'), { recursive: true }),
        () => false,
      );
      assert.equal(seen.at(-1), 'gone');
    });

    it('say that changes were lost when the queue runs over', async () => {
      const most = Number(await readFile('/proc/sys/fs/inotify/max_queued_events', 'utf8'));
      const one = await Link.open(files.address);
      const stream = await one.stream(FILES.watch);
      await stream.send({ path: { path: files.folder } });
      stream.end();
      const answers = stream[Symbol.asyncIterator]();
      await answers.next();
      // Two files in turn, so that no event is the same as the one before.
      execFileSync(process.execPath, [
        '-e',
        `const fs = require('fs'); for (let n = 0; n < ${2 * most + 20_000}; n++) fs.utimesSync(process.argv[1 + (n % 2)], n, n)`,
        await touched(files.at('a')),
        await touched(files.at('b')),
      ]);
      for (let next = await answers.next(); !next.done; next = await answers.next()) {
        if (next.value.changes.some(({ kind }) => kind === berth.v1.FileChange.Kind.KIND_OVERFLOW)) break;
      }
      await one.close();
    });
  });

  async function touched(path: string): Promise<string> {
    await writeFile(path, '');
    return path;
  }
});
