import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, lstat, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Detach, StorageHost } from '../../../../../agent/container/storage/storage.ts';
import { watchableBind } from '../../../../../agent/container/storage/watchable-bind.ts';
import { hasCode } from '../../../../../agent/errors.ts';
import { type RecordingDoor, recordingDoor } from '../recording-door.ts';

const POLL_MS = 20;

describe('watchable-bind storage of what others may write to', () => {
  let root: string;
  let source: string;
  let target: string;
  let door: RecordingDoor;
  let warnings: string[];
  const attached: Detach[] = [];

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'berth-watch-'));
    source = join(root, 'share/config');
    target = join(root, 'share/watchable/config');
    door = recordingDoor();
    warnings = [];
    await mkdir(source, { recursive: true });
  });
  afterEach(async () => {
    for (const detach of attached.splice(0)) await detach();
    await rm(root, { recursive: true });
  });

  async function attach(from = source, options: string[] = []): Promise<Detach> {
    const log = { debug: () => {}, warn: (message: string) => warnings.push(message) };
    const host = { door, bundleDir: root, watchPollMs: POLL_MS, log } as unknown as StorageHost;
    const storage = {
      driver: 'watchable-bind',
      driverOptions: [],
      source: from,
      fstype: 'bind',
      options,
      mountPoint: target,
      shared: false,
    };
    const detach = await watchableBind.attach(storage, host, 'c');
    attached.push(detach);
    return detach;
  }
  const seen = (name: string) => readFile(join(target, name), 'utf8');
  async function eventually(check: () => Promise<unknown>): Promise<void> {
    for (const end = Date.now() + 5_000; ; await sleep(5)) {
      try {
        assert.ok(await check());
        return;
      } catch (error) {
        if (Date.now() > end) throw error;
      }
    }
  }

  it('needs a source, and not one behind a link', async () => {
    await assert.rejects(attach(join(root, 'none')), (error) => hasCode(error, 'not_found'));
    await symlink('/etc', join(root, 'share/planted'));
    await assert.rejects(attach(join(root, 'share/planted')), (error) => hasCode(error, 'invalid_argument'));
    await assert.rejects(attach('/run/berth'), (error) => hasCode(error, 'invalid_argument'));
    assert.equal(door.calls.at(-1), `umount ${root}/share/watchable`);
  });

  it('reads no link, no pipe and no socket of the source as a file', async () => {
    await writeFile(join(root, 'secret'), 'of the guest');
    await symlink(join(root, 'secret'), join(source, 'out'));
    await promisify(execFile)('mkfifo', [join(source, 'pipe')]);
    await attach();
    assert.deepEqual(await readdir(target), ['out']);
    assert.ok((await lstat(join(target, 'out'))).isSymbolicLink());
  });

  describe('whose copy a container may write to', () => {
    let outside: string;

    beforeEach(async () => {
      outside = join(root, 'outside');
      await mkdir(outside);
      await writeFile(join(outside, 'f'), 'of the guest', { mode: 0o600 });
      await mkdir(join(source, 'd'));
      await writeFile(join(source, 'd/f'), 'old');
      await writeFile(join(source, 'g'), 'old');
      await attach();
    });
    const change = async () => {
      await writeFile(join(source, 'd/f'), 'new');
      await writeFile(join(source, 'g'), 'new');
    };
    const untouched = async () => {
      assert.deepEqual(await readdir(outside), ['f']);
      assert.equal(await readFile(join(outside, 'f'), 'utf8'), 'of the guest');
      assert.equal((await stat(join(outside, 'f'))).mode & 0o777, 0o600);
      assert.equal((await stat(outside)).mode & 0o777, 0o755);
    };

    it('replaces a link that was put in the place of a file', async () => {
      await rm(join(target, 'g'));
      await symlink(join(outside, 'f'), join(target, 'g'));
      await change();
      await eventually(async () => (await seen('g')) === 'new' && (await lstat(join(target, 'g'))).isFile());
      await untouched();
    });

    it('goes through no link that was put in the place of a directory', async () => {
      await rm(join(target, 'd'), { recursive: true });
      await symlink(outside, join(target, 'd'));
      await change();
      await chmod(join(source, 'd'), 0o777);
      await eventually(async () => (await seen('g')) === 'new');
      await eventually(async () => (await lstat(join(target, 'd'))).isDirectory() && (await seen('d/f')) === 'new');
      await untouched();
    });

    it('removes nothing behind a link', async () => {
      await rm(join(target, 'd'), { recursive: true });
      await symlink(outside, join(target, 'd'));
      await rm(join(source, 'd'), { recursive: true });
      await eventually(async () => !(await readdir(target)).includes('d'));
      await untouched();
    });
  });
});
