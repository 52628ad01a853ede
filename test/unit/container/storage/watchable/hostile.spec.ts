import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, lstat, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { hasCode } from '../../../../../agent/errors.ts';
import { eventually, SharedDirectory } from './shared-directory.ts';

describe('watchable-bind storage of what others may write to', () => {
  const share = new SharedDirectory();

  it('needs a source, and not one behind a link', async () => {
    await assert.rejects(share.attach(join(share.root, 'none')), (error) => hasCode(error, 'not_found'));
    await symlink('/etc', join(share.root, 'share/planted'));
    await assert.rejects(share.attach(join(share.root, 'share/planted')), (error) => hasCode(error, 'invalid_argument'));
    await assert.rejects(share.attach('/run/berth'), (error) => hasCode(error, 'invalid_argument'));
    assert.equal(share.door.calls.at(-1), `umount ${share.root}/share/watchable`);
  });

  it('reads no link, no pipe and no socket of the source as a file', async () => {
    await writeFile(join(share.root, 'secret'), 'of the guest');
    await symlink(join(share.root, 'secret'), join(share.source, 'out'));
    await promisify(execFile)('mkfifo', [join(share.source, 'pipe')]);
    await share.attach();
    assert.deepEqual(await readdir(share.target), ['out']);
    assert.ok((await lstat(join(share.target, 'out'))).isSymbolicLink());
  });

  describe('whose copy a container may write to', () => {
    let outside: string;

    beforeEach(async () => {
      outside = join(share.root, 'outside');
      await mkdir(outside);
      await writeFile(join(outside, 'f'), 'of the guest', { mode: 0o600 });
      await mkdir(join(share.source, 'd'));
      await writeFile(join(share.source, 'd/f'), 'old');
      await writeFile(join(share.source, 'g'), 'old');
      await share.attach();
    });
    const change = async () => {
      await writeFile(join(share.source, 'd/f'), 'new');
      await writeFile(join(share.source, 'g'), 'new');
    };
    const untouched = async () => {
      assert.deepEqual(await readdir(outside), ['f']);
      assert.equal(await readFile(join(outside, 'f'), 'utf8'), 'of the guest');
      assert.equal((await stat(join(outside, 'f'))).mode & 0o777, 0o600);
      assert.equal((await stat(outside)).mode & 0o777, 0o755);
    };

    it('replaces a link that was put in the place of a file', async () => {
      await rm(join(share.target, 'g'));
      await symlink(join(outside, 'f'), join(share.target, 'g'));
      await change();
      await eventually(async () => (await share.seen('g')) === 'new' && (await lstat(join(share.target, 'g'))).isFile());
      await untouched();
    });

    it('goes through no link that was put in the place of a directory', async () => {
      await rm(join(share.target, 'd'), { recursive: true });
      await symlink(outside, join(share.target, 'd'));
      await change();
      await chmod(join(share.source, 'd'), 0o777);
      await eventually(async () => (await share.seen('g')) === 'new');
      await eventually(async () => (await lstat(join(share.target, 'd'))).isDirectory() && (await share.seen('d/f')) === 'new');
      await untouched();
    });

    it('removes nothing behind a link', async () => {
      await rm(join(share.target, 'd'), { recursive: true });
      await symlink(outside, join(share.target, 'd'));
      await rm(join(share.source, 'd'), { recursive: true });
      await eventually(async () => !(await readdir(share.target)).includes('d'));
      await untouched();
    });
  });
});
