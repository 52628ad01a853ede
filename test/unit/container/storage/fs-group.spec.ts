import assert from 'node:assert/strict';
import { chmod, chown, lstat, mkdir, mkdtemp, readdir, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { applyFsGroup } from '../../../../agent/container/storage/fs-group.ts';
import type { Progress } from '../../../../agent/container/storage/patience.ts';
import type { FsGroup } from '../../../../agent/container/storage/storage.ts';
import { hasCode } from '../../../../agent/errors.ts';

const GID = process.getuid?.() === 0 ? 4321 : (process.getgid?.() ?? 0);
const NO_HURRY: Progress = { signal: new AbortController().signal, moved: () => {} };
const TURNS = 200;

describe('group ownership of a volume', () => {
  let root: string;
  let volume: string;

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'berth-fs-group-'));
    volume = join(root, 'v');
    await mkdir(join(volume, 'd'), { recursive: true });
    await writeFile(join(volume, 'd/f'), '', { mode: 0o600 });
    await writeFile(join(root, 'outside'), '', { mode: 0o600 });
    await chmod(join(volume, 'd'), 0o700);
    await symlink('../outside', join(volume, 'link'));
  });
  afterEach(() => rm(root, { recursive: true }));

  const apply = (policy: FsGroup['policy'] = 'always', readOnly = false) =>
    applyFsGroup(volume, { gid: GID, policy }, readOnly, NO_HURRY);
  const mode = async (name: string) => (await stat(join(volume, name))).mode & 0o7777;

  it('opens files and directories to the group, and follows no link', async () => {
    const before = await stat(join(root, 'outside'));
    await apply();
    assert.equal(await mode('.'), 0o2775);
    assert.equal(await mode('d'), 0o2770);
    assert.equal(await mode('d/f'), 0o660);
    for (const name of ['.', 'd', 'd/f', 'link']) assert.equal((await lstat(join(volume, name))).gid, GID, name);
    const after = await stat(join(root, 'outside'));
    assert.deepEqual([after.gid, after.mode], [before.gid, before.mode]);
  });

  it('takes names that are no UTF-8', async () => {
    const odd = Buffer.concat([Buffer.from(`${volume}/`), Buffer.from([0x66, 0xff])]);
    await writeFile(odd, '', { mode: 0o600 });
    await apply();
    assert.equal((await stat(odd)).mode & 0o777, 0o660);
  });

  it('gives no write permission on a read-only volume', async () => {
    await apply('always', true);
    assert.equal(await mode('d/f'), 0o640);
  });

  it('leaves a volume alone whose root is right, if that is the policy', async () => {
    await chown(volume, -1 as number, GID).catch(() => chown(volume, process.getuid!(), GID));
    await chmod(volume, 0o2775);
    await apply('on_root_mismatch');
    assert.equal(await mode('d/f'), 0o600);
    await chmod(volume, 0o755);
    await apply('on_root_mismatch');
    assert.equal(await mode('d/f'), 0o660);
  });

  it('does the root last, so that a walk that was cut short is not taken for done', async () => {
    const cut = new AbortController();
    const progress = { signal: cut.signal, moved: () => cut.abort(new Error('over')) };
    await assert.rejects(applyFsGroup(volume, { gid: GID, policy: 'always' }, false, progress), /over/);
    assert.notEqual(await mode('.'), 0o2775);
    await apply('on_root_mismatch');
    assert.equal(await mode('d/f'), 0o660);
  });

  it('never changes what a link leads to, however fast a file turns into one', async () => {
    const before = await stat(join(root, 'outside'));
    await symlink('../outside', join(root, 'planted'));
    let over = false;
    const swapping = (async () => {
      while (!over) {
        // Both names take turns at being a file and a link that leads out.
        await rename(join(root, 'planted'), join(volume, 'x')).catch(() => {});
        await rename(join(volume, 'x'), join(root, 'planted')).catch(() => {});
        await writeFile(join(volume, 'x'), '', { flag: 'wx' }).catch(() => {});
        await rm(join(volume, 'x'), { force: true });
      }
    })();
    for (let turn = 0; turn < TURNS; turn++) await apply();
    over = true;
    await swapping;
    const after = await stat(join(root, 'outside'));
    assert.deepEqual([after.gid, after.mode], [before.gid, before.mode]);
  });

  it('refuses directories nested without end rather than run out of descriptors', async () => {
    let deep = volume;
    for (let depth = 0; depth < 300; depth++) deep = join(deep, 'd');
    await mkdir(deep, { recursive: true });
    const before = (await readdir('/proc/self/fd')).length;
    await assert.rejects(apply(), (error) => hasCode(error, 'failed_precondition'));
    assert.equal((await readdir('/proc/self/fd')).length, before);
  });
});
