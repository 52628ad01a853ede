import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, open, readdir, readFile, readlink, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Detach, StorageHost } from '../../../../../agent/container/storage/storage.ts';
import { watchableBind } from '../../../../../agent/container/storage/watchable-bind.ts';
import { MS } from '../../../../../native/index.ts';
import { ConfigMap } from '../../../../support/config-map.ts';
import { type RecordingDoor, recordingDoor } from '../recording-door.ts';

const POLL_MS = 20;
const MIB = 1024 * 1024;

describe('watchable-bind storage', () => {
  let root: string;
  let source: string;
  let config: ConfigMap;
  let target: string;
  let door: RecordingDoor;
  let warnings: string[];
  const attached: Detach[] = [];

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'berth-watch-'));
    source = join(root, 'share/config');
    config = new ConfigMap(source);
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
  const polls = (count: number) => sleep(count * POLL_MS * 3);

  it('copies files, directories and links with their modes and owners', async () => {
    await mkdir(join(source, 'd/e'), { recursive: true });
    await writeFile(join(source, 'd/e/f'), 'text');
    await chmod(join(source, 'd/e/f'), 0o604);
    await chmod(join(source, 'd'), 0o711);
    await symlink('d/e/f', join(source, 'l'));
    await attach();
    assert.equal(await seen('d/e/f'), 'text');
    assert.equal((await stat(join(target, 'd/e/f'))).mode & 0o7777, 0o604);
    assert.equal((await stat(join(target, 'd'))).mode & 0o7777, 0o711);
    assert.equal(await readlink(join(target, 'l')), 'd/e/f');
    assert.deepEqual(door.calls, [
      `mount tmpfs ${root}/share/watchable tmpfs ${MS.NOSUID | MS.NODEV} mode=755,size=64m,nr_inodes=4096`,
      `mount tmpfs ${target} tmpfs ${MS.NOSUID | MS.NODEV} mode=755,size=4m,nr_inodes=256`,
    ]);
  });

  it('follows what the kubelet does to a config map, and leaves nothing of the old one', async () => {
    await config.write({ a: '1', b: '1' });
    await attach();
    assert.equal(await seen('a'), '1');
    await config.write({ a: '2', c: '2' });
    await eventually(async () => (await seen('a')) === '2' && (await seen('c')) === '2');
    await eventually(async () => (await readdir(target)).length === 4);
    assert.deepEqual((await readdir(target)).sort(), (await readdir(source)).sort());
  });

  it('never shows keys of two generations, nor a part of one', async () => {
    const value = (generation: number) => `${generation}`.padEnd(50_000, '.');
    await config.write({ a: value(0), b: value(0) });
    await attach();
    let over = false;
    const reading = (async () => {
      while (!over) {
        // Through one directory, as a reader does that wants them to belong together.
        const data = await readlink(join(target, '..data'));
        const [a, b] = await Promise.all(['a', 'b'].map((key) => seen(`${data}/${key}`).catch(() => undefined)));
        if (a !== undefined && b !== undefined) assert.equal(a, b);
        for (const text of [a, b]) assert.ok(text === undefined || text.length === 50_000, `${text?.length} bytes`);
      }
    })();
    for (let generation = 1; generation < 15; generation++) {
      await config.write({ a: value(generation), b: value(generation) });
      await sleep(POLL_MS);
    }
    await eventually(async () => (await seen('a')) === value(14));
    over = true;
    await reading;
  });

  it('copies what was there together, however the source changes while it is read', async () => {
    let count = 0;
    const put = async (name: string) => {
      await writeFile(join(root, name), String(count));
      await rename(join(root, name), join(source, name));
    };
    const advance = async () => {
      count++;
      await put('f');
      await put('g');
    };
    await advance();
    await attach();
    let over = false;
    const reading = (async () => {
      for (; !over; await sleep(1)) {
        // f is ahead of g or level with it at every moment; and read after it here, so that it can't seem behind.
        const behind = Number(await seen('g'));
        assert.ok(Number(await seen('f')) >= behind, 'g is ahead of f');
      }
    })();
    for (const end = Date.now() + 1_500; Date.now() < end; await sleep(5)) {
      for (let burst = 0; burst < 5; burst++) await advance();
    }
    over = true;
    await reading;
    await eventually(async () => Number(await seen('g')) === count);
  });

  it('sees a change that leaves the size and the time of a file as they were', async () => {
    await writeFile(join(source, 'f'), 'old');
    const { atime, mtime } = await stat(join(source, 'f'));
    await attach();
    await writeFile(join(source, 'f'), 'new');
    const file = await open(join(source, 'f'));
    await file.utimes(atime, mtime);
    await file.close();
    await eventually(async () => (await seen('f')) === 'new');
  });

  it('changes a file into a directory and back', async () => {
    await writeFile(join(source, 'x'), 'file');
    await attach();
    await rm(join(source, 'x'));
    await mkdir(join(source, 'x'));
    await writeFile(join(source, 'x/y'), 'below');
    await eventually(async () => (await seen('x/y')) === 'below');
    await rm(join(source, 'x'), { recursive: true });
    await writeFile(join(source, 'x'), 'again');
    await eventually(async () => (await seen('x')) === 'again');
  });

  it('writes to a single file in place: a container has that very file', async () => {
    await writeFile(join(source, 'f'), 'old and long');
    await attach(join(source, 'f'));
    const { ino } = await stat(target);
    await writeFile(join(source, 'f'), 'new');
    await eventually(async () => (await readFile(target, 'utf8')) === 'new');
    assert.equal((await stat(target)).ino, ino);
  });

  for (const [title, fill] of [
    ['more files', async () => Promise.all(Array.from({ length: 17 }, (_, at) => writeFile(join(source, `${at}`), '')))],
    ['more bytes', async () => writeFile(join(source, 'f'), Buffer.alloc(MIB + 1))],
    ['more directories', async () => mkdir(join(source, Array(16).fill('d').join('/')), { recursive: true })],
  ] as const) {
    it(`binds the source itself where there are ${title} than may be copied`, async () => {
      await fill();
      await attach(source, ['rbind', 'ro']);
      const flags = MS.BIND | MS.REC | MS.RDONLY;
      assert.deepEqual(door.calls.slice(2), [
        `umount ${target}`,
        `mount ${source} ${target}  ${flags}`,
        `mount none ${target}  ${flags | MS.REMOUNT}`,
      ]);
      assert.deepEqual(warnings, ['a watchable storage is bound instead: changes are seen without inotify']);
    });
  }

  it('copies as much as may be copied', async () => {
    for (let at = 0; at < 15; at++) await writeFile(join(source, `${at}`), '');
    await writeFile(join(source, 'large'), Buffer.alloc(MIB));
    await attach();
    assert.equal((await stat(join(target, 'large'))).size, MIB);
    assert.equal(door.calls.length, 2);
  });

  it('binds the source over the copy when it grows too large, and takes both off', async () => {
    await writeFile(join(source, 'f'), 'small');
    const detach = await attach();
    await writeFile(join(source, 'f'), Buffer.alloc(MIB + 1));
    await eventually(async () => door.calls.length === 3);
    assert.equal(door.calls[2], `mount ${source} ${target}  ${MS.BIND}`);
    assert.equal(await seen('f'), 'small');
    await polls(2);
    assert.equal(door.calls.length, 3);
    await detach();
    assert.deepEqual(door.calls.slice(3), [`umount ${target}`, `umount ${target}`, `umount ${root}/share/watchable`]);
  });

  it('writes nothing any more once it is detached', async () => {
    await writeFile(join(source, 'f'), 'old');
    const detach = await attach();
    await detach();
    await writeFile(join(source, 'f'), 'new');
    await polls(3);
    assert.equal(await seen('f'), 'old');
  });

  it('keeps the last copy while the source is gone, says so once, and goes on when it is back', async () => {
    await writeFile(join(source, 'f'), 'old');
    await attach();
    await rename(source, `${source}.away`);
    await polls(4);
    assert.equal(await seen('f'), 'old');
    assert.deepEqual(warnings, ['a watched source is not copied']);
    await writeFile(`${source}.away/f`, 'new');
    await rename(`${source}.away`, source);
    await eventually(async () => (await seen('f')) === 'new');
  });

  it('shares its area with others, and takes it off with the last of them', async () => {
    const first = await attach();
    target = join(root, 'share/watchable/other');
    const second = await attach();
    await first();
    assert.equal(door.calls.filter((call) => call === `umount ${root}/share/watchable`).length, 0);
    await second();
    await second();
    assert.equal(door.calls.filter((call) => call === `umount ${root}/share/watchable`).length, 1);
  });

  it('leaves no descriptor open', async () => {
    const openFds = async () => (await readdir('/proc/self/fd')).length;
    await config.write({ a: '1' });
    const before = await openFds();
    const detach = await attach();
    for (let generation = 0; generation < 5; generation++) {
      await config.write({ a: `${generation}` });
      await polls(1);
    }
    await detach();
    await eventually(async () => (await openFds()) === before);
  });
});
