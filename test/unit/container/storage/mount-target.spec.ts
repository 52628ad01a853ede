import assert from 'node:assert/strict';
import { access, mkdir, mkdtemp, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeDirectory, removeEmpty, withEntry } from '../../../../agent/container/storage/guest-path.ts';
import { parseMountOptions } from '../../../../agent/container/storage/mount-options.ts';
import { checkMountPoint, mountOn, unmountFrom } from '../../../../agent/container/storage/mount-target.ts';
import { hasCode } from '../../../../agent/errors.ts';
import { MS } from '../../../../native/index.ts';
import { type RecordingDoor, recordingDoor } from './recording-door.ts';

const TMPFS = { source: 'tmpfs', fstype: 'tmpfs' };

describe('a mount point', () => {
  let directory: string;
  let door: RecordingDoor;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'berth-target-'));
    door = recordingDoor();
  });
  afterEach(() => rm(directory, { recursive: true }));

  const openFds = async () => (await readdir('/proc/self/fd')).length;

  it('is made with what is above it', async () => {
    await mountOn(door, join(directory, 'a/b/c'), TMPFS, parseMountOptions(['nosuid', 'size=1m']));
    assert.deepEqual(door.calls, [`mount tmpfs ${directory}/a/b/c tmpfs ${MS.NOSUID} size=1m`]);
    assert.ok((await stat(join(directory, 'a/b/c'))).isDirectory());
  });

  it('is never reached through a symbolic link, on the way or at its end', async () => {
    await mkdir(join(directory, 'outside'));
    await mkdir(join(directory, 'shared'));
    await symlink('../outside', join(directory, 'shared/link'));
    for (const target of ['shared/link', 'shared/link/x']) {
      await assert.rejects(
        mountOn(door, join(directory, target), TMPFS, parseMountOptions([])),
        (error) => hasCode(error, 'invalid_argument') && error.fields['field'] === 'mount_point',
      );
      await assert.rejects(makeDirectory(join(directory, target)), (error) => hasCode(error, 'invalid_argument'));
    }
    assert.deepEqual(door.calls, []);
    assert.deepEqual(await readdir(join(directory, 'outside')), []);
  });

  it('is not unmounted or removed through a symbolic link either', async () => {
    await mkdir(join(directory, 'outside/x'), { recursive: true });
    await symlink('outside', join(directory, 'link'));
    await assert.rejects(unmountFrom(door, join(directory, 'link/x')), (error) => hasCode(error, 'invalid_argument'));
    await assert.rejects(removeEmpty(join(directory, 'link/x')), (error) => hasCode(error, 'invalid_argument'));
    assert.deepEqual(door.calls, []);
    await access(join(directory, 'outside/x'));
  });

  it('cannot lie below a file', async () => {
    await writeFile(join(directory, 'file'), '');
    await assert.rejects(makeDirectory(join(directory, 'file/x')), (error) => hasCode(error, 'invalid_argument'));
  });

  it('gets a bind mount in steps: the bind, its own flags, its propagation', async () => {
    await mkdir(join(directory, 'src'));
    const source = { source: join(directory, 'src'), fstype: 'bind' };
    await mountOn(door, join(directory, 'b'), source, parseMountOptions(['bind', 'ro', 'rslave']));
    assert.deepEqual(door.calls, [
      `mount ${directory}/src ${directory}/b  ${MS.BIND | MS.RDONLY}`,
      `mount none ${directory}/b  ${MS.BIND | MS.RDONLY | MS.REMOUNT}`,
      `mount none ${directory}/b  ${MS.SLAVE | MS.REC}`,
    ]);
  });

  it('is a file where a file is bound', async () => {
    await writeFile(join(directory, 'src'), 'content');
    const source = { source: join(directory, 'src'), fstype: 'bind' };
    const detach = await mountOn(door, join(directory, 'a/b'), source, parseMountOptions(['bind']));
    assert.deepEqual(door.calls, [`mount ${directory}/src ${directory}/a/b  ${MS.BIND}`]);
    assert.ok((await stat(join(directory, 'a/b'))).isFile());
    await detach();
    assert.deepEqual((await readdir(directory)).sort(), ['src']);
  });

  it('is made whole while what others made beside it is removed', async () => {
    const churn = async (name: string) => {
      for (let round = 0; round < 40; round++) {
        const detach = await mountOn(door, join(directory, 'x/y/z', name), TMPFS, parseMountOptions([]));
        await detach();
      }
    };
    await Promise.all(['a', 'b', 'c', 'd'].map(churn));
    assert.deepEqual(await readdir(directory), []);
  });

  it('gets no bind mount of what a symbolic link leads to, nor of what belongs to the agent', async () => {
    await mkdir(join(directory, 'shared'));
    await symlink('/etc', join(directory, 'shared/link'));
    const sources = ['shared/link', 'shared/link/ssh'].map((name) => join(directory, name));
    for (const source of [...sources, '/run/berth', '/proc/self/root', 'relative', '/a/../b']) {
      await assert.rejects(
        mountOn(door, join(directory, 'b'), { source, fstype: 'bind' }, parseMountOptions(['bind'])),
        (error) => hasCode(error, 'invalid_argument'),
        source,
      );
    }
    assert.deepEqual(door.calls, []);
  });

  it('is removed with its mount when it was made for it and is empty, and left when it was there', async () => {
    const detachMade = await mountOn(door, join(directory, 'made'), TMPFS, parseMountOptions([]));
    await mkdir(join(directory, 'there'));
    const detachThere = await mountOn(door, join(directory, 'there'), TMPFS, parseMountOptions([]));
    await detachMade();
    await detachThere();
    await detachThere();
    assert.deepEqual(await readdir(directory), ['there']);
  });

  it('is not left behind when the mount fails', async () => {
    door.fail = { match: /^mount/, code: 'EIO' };
    await assert.rejects(mountOn(door, join(directory, 'made'), TMPFS, parseMountOptions([])));
    assert.deepEqual(await readdir(directory), []);
  });

  it('is told apart from a file, and from nothing', async () => {
    await writeFile(join(directory, 'file'), '');
    const kind = (name: string) => withEntry(join(directory, name), async (_entry, isDirectory) => isDirectory);
    assert.equal(await kind('.'), true);
    assert.equal(await kind('file'), false);
    await assert.rejects(kind('none'), (error) => hasCode(error, 'not_found'));
  });

  it('has nothing mounted when a later step fails', async () => {
    door.fail = { match: new RegExp(` ${MS.PRIVATE}$`), code: 'EINVAL' };
    await assert.rejects(mountOn(door, join(directory, 'b'), TMPFS, parseMountOptions(['private'])), (error) =>
      hasCode(error, 'invalid_argument'),
    );
    assert.equal(door.calls.at(-1), `umount ${directory}/b`);
  });

  it('may have nothing mounted on it, or be gone, when it is unmounted and removed', async () => {
    door.fail = { match: /umount/, code: 'EINVAL' };
    await mkdir(join(directory, 'a'));
    await unmountFrom(door, join(directory, 'a'));
    await unmountFrom(door, join(directory, 'no/such'));
    await removeEmpty(join(directory, 'a'));
    await removeEmpty(join(directory, 'a'));
  });

  it('says what is in the way when it cannot be unmounted', async () => {
    door.fail = { match: /umount/, code: 'EPERM' };
    await assert.rejects(
      unmountFrom(door, join(directory, 'a')),
      (error) => hasCode(error, 'permission_denied') && /^unmount /.test(error.message),
    );
  });

  it('leaves no descriptor open, whatever happens', async () => {
    const before = await openFds();
    await mountOn(door, join(directory, 'a/b'), TMPFS, parseMountOptions([]));
    await symlink('a', join(directory, 'link'));
    await makeDirectory(join(directory, 'link/x')).catch(() => {});
    await unmountFrom(door, join(directory, 'no/such'));
    door.fail = { match: /mount/, code: 'EIO' };
    await mountOn(door, join(directory, 'a/b'), TMPFS, parseMountOptions([])).catch(() => {});
    assert.equal(await openFds(), before);
  });

  for (const path of [
    '',
    'a',
    '/',
    '/run',
    '/dev',
    '/proc',
    '/proc/1',
    '/sys/fs',
    '/usr',
    '/usr/bin',
    '/etc',
    '/run/berth',
    '/run/berth/x',
    '/var/run/berth',
    '/a/../etc',
  ]) {
    it(`is not ${JSON.stringify(path)}, which the guest needs`, () => {
      assert.throws(
        () => checkMountPoint(path),
        (error) => hasCode(error, 'invalid_argument'),
      );
    });
  }

  it('is written plainly', () => {
    assert.equal(checkMountPoint('/run//kata-containers/./x/'), '/run/kata-containers/x');
    assert.equal(checkMountPoint('/var/run/x'), '/run/x');
    assert.equal(checkMountPoint('/dev/hugepages-2Mi'), '/dev/hugepages-2Mi');
  });
});
