import assert from 'node:assert/strict';
import { chmod, chown, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findGuestHooks } from '../../../agent/container/guest-hooks.ts';
import { withGuestHooks } from '../../../agent/container/spec/hooks.ts';
import { hasCode } from '../../../agent/errors.ts';
import { type LogFields, silentLogger } from '../../../agent/log.ts';

describe("the guest's own hooks", () => {
  let folder: string;
  let root: string;
  const warnings: LogFields[] = [];
  const log = { ...silentLogger, warn: (_: string, fields: LogFields = {}) => void warnings.push(fields) };
  const find = (directory = root) => findGuestHooks(directory, join(folder, 'shared'), log);
  const hook = async (path: string, mode = 0o755) => {
    await mkdir(join(root, path, '..'), { recursive: true });
    await writeFile(join(root, path), '#!/bin/sh\n');
    await chmod(join(root, path), mode);
  };

  before(function () {
    if (process.getuid?.() !== 0) this.skip();
  });
  beforeEach(async () => {
    warnings.length = 0;
    folder = await mkdtemp(join(tmpdir(), 'berth-hooks-'));
    root = join(folder, 'hooks');
    await mkdir(root);
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('are the executables of each kind, in the order of their names, called with name and kind', async () => {
    for (const path of ['prestart/20-b', 'prestart/10-a', 'poststop/z', 'createRuntime/no']) await hook(path);
    const found = await find();
    assert.deepEqual(Object.keys(found), ['prestart', 'poststop']);
    assert.deepEqual(
      found.prestart?.map(({ path, args }) => ({ path, args })),
      [
        { path: join(root, 'prestart/10-a'), args: ['10-a', 'prestart'] },
        { path: join(root, 'prestart/20-b'), args: ['20-b', 'prestart'] },
      ],
    );
    assert.ok(found.poststop?.every(({ timeout, env }) => timeout === 30 && env?.[0]?.startsWith('PATH=')));
    assert.deepEqual(warnings, []);
  });

  it('are none where there is no directory to look in, or none of a kind', async () => {
    assert.deepEqual(await find(''), {});
    assert.deepEqual(await find(), {});
    await assert.rejects(find(join(root, 'absent')), /ENOENT/);
  });

  it('leave out what is no program, and what others than root could have written', async () => {
    await hook('prestart/plain', 0o644);
    await hook('prestart/open', 0o757);
    await hook('prestart/group', 0o775);
    await hook('prestart/theirs');
    await chown(join(root, 'prestart/theirs'), 1000, 1000);
    await mkdir(join(root, 'prestart/directory'));
    await hook('prestart/good');
    assert.deepEqual(
      (await find()).prestart?.map(({ args }) => args?.[0]),
      ['good'],
    );
    assert.equal(warnings.length, 5);
  });

  it('leave out a kind whose directory others could write', async () => {
    await hook('prestart/good');
    await chmod(join(root, 'prestart'), 0o777);
    assert.deepEqual(await find(), {});
  });

  it('leave out links that lead out of the directory', async () => {
    await mkdir(join(root, 'poststart'));
    await symlink('/usr/bin/true', join(root, 'poststart/link'));
    await symlink('absent', join(root, 'poststart/dangling'));
    await hook('bin/tool');
    await symlink('../bin/tool', join(root, 'poststart/inside'));
    assert.deepEqual(
      (await find()).poststart?.map(({ path, args }) => [path, args?.[0]]),
      [[join(root, 'bin/tool'), 'inside']],
    );
    assert.equal(warnings.length, 2);
  });

  it('come from no directory that containers or their host fill, not even through a link', async () => {
    await mkdir(join(folder, 'shared/hooks'), { recursive: true });
    await symlink(join(folder, 'shared/hooks'), join(folder, 'link'));
    for (const directory of [join(folder, 'shared/hooks'), join(folder, 'link'), `${root}/../shared`, 'hooks']) {
      await assert.rejects(find(directory), (error) => hasCode(error, 'invalid_argument'), directory);
    }
    await chmod(root, 0o777);
    await assert.rejects(find(), /written by others than root/);
  });

  it('come after those of the spec', () => {
    const [mine, theirs] = [{ path: '/spec' }, { path: '/guest' }];
    assert.deepEqual(withGuestHooks({ prestart: [mine], startContainer: [mine] }, { prestart: [theirs], poststop: [theirs] }), {
      prestart: [mine, theirs],
      startContainer: [mine],
      poststop: [theirs],
    });
    assert.equal(withGuestHooks(undefined, {}), undefined);
    assert.deepEqual(withGuestHooks(undefined, { poststart: [theirs] }), { poststart: [theirs] });
  });
});
