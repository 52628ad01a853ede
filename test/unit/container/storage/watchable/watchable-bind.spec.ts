import assert from 'node:assert/strict';
import { chmod, mkdir, open, readdir, readFile, readlink, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MS } from '../../../../../native/index.ts';
import { ConfigMap } from '../../../../support/config-map.ts';
import { eventually, POLL_MS, SharedDirectory } from './shared-directory.ts';

const MIB = 1024 * 1024;

describe('watchable-bind storage', () => {
  const share = new SharedDirectory();
  let config: ConfigMap;

  beforeEach(() => {
    config = new ConfigMap(share.source);
  });
  const polls = (count: number) => sleep(count * POLL_MS * 3);

  it('copies files, directories and links with their modes and owners', async () => {
    await mkdir(join(share.source, 'd/e'), { recursive: true });
    await writeFile(join(share.source, 'd/e/f'), 'text');
    await chmod(join(share.source, 'd/e/f'), 0o604);
    await chmod(join(share.source, 'd'), 0o711);
    await symlink('d/e/f', join(share.source, 'l'));
    await share.attach();
    assert.equal(await share.seen('d/e/f'), 'text');
    assert.equal((await stat(join(share.target, 'd/e/f'))).mode & 0o7777, 0o604);
    assert.equal((await stat(join(share.target, 'd'))).mode & 0o7777, 0o711);
    assert.equal(await readlink(join(share.target, 'l')), 'd/e/f');
    assert.deepEqual(share.door.calls, [
      `mount tmpfs ${share.root}/share/watchable tmpfs ${MS.NOSUID | MS.NODEV} mode=755,size=64m,nr_inodes=4096`,
      `mount tmpfs ${share.target} tmpfs ${MS.NOSUID | MS.NODEV} mode=755,size=4m,nr_inodes=256`,
    ]);
  });

  it('follows what the kubelet does to a config map, and leaves nothing of the old one', async () => {
    await config.write({ a: '1', b: '1' });
    await share.attach();
    assert.equal(await share.seen('a'), '1');
    await config.write({ a: '2', c: '2' });
    await eventually(async () => (await share.seen('a')) === '2' && (await share.seen('c')) === '2');
    await eventually(async () => (await readdir(share.target)).length === 4);
    assert.deepEqual((await readdir(share.target)).sort(), (await readdir(share.source)).sort());
  });

  it('never shows keys of two generations, nor a part of one', async () => {
    const value = (generation: number) => `${generation}`.padEnd(50_000, '.');
    await config.write({ a: value(0), b: value(0) });
    await share.attach();
    let over = false;
    const reading = (async () => {
      while (!over) {
        // Through one directory, as a reader does that wants them to belong together.
        const data = await readlink(join(share.target, '..data'));
        const [a, b] = await Promise.all(['a', 'b'].map((key) => share.seen(`${data}/${key}`).catch(() => undefined)));
        if (a !== undefined && b !== undefined) assert.equal(a, b);
        for (const text of [a, b]) assert.ok(text === undefined || text.length === 50_000, `${text?.length} bytes`);
      }
    })();
    for (let generation = 1; generation < 15; generation++) {
      await config.write({ a: value(generation), b: value(generation) });
      await sleep(POLL_MS);
    }
    await eventually(async () => (await share.seen('a')) === value(14));
    over = true;
    await reading;
  });

  it('copies what was there together, however the source changes while it is read', async () => {
    let count = 0;
    const put = async (name: string) => {
      await writeFile(join(share.root, name), String(count));
      await rename(join(share.root, name), join(share.source, name));
    };
    const advance = async () => {
      count++;
      await put('f');
      await put('g');
    };
    await advance();
    await share.attach();
    let over = false;
    const reading = (async () => {
      for (; !over; await sleep(1)) {
        // f is ahead of g or level with it at every moment; and read after it here, so that it can't seem behind.
        const behind = Number(await share.seen('g'));
        assert.ok(Number(await share.seen('f')) >= behind, 'g is ahead of f');
      }
    })();
    for (const end = Date.now() + 1_500; Date.now() < end; await sleep(5)) {
      for (let burst = 0; burst < 5; burst++) await advance();
    }
    over = true;
    await reading;
    await eventually(async () => Number(await share.seen('g')) === count);
  });

  it('sees a change that leaves the size and the time of a file as they were', async () => {
    await writeFile(join(share.source, 'f'), 'old');
    const { atime, mtime } = await stat(join(share.source, 'f'));
    await share.attach();
    await writeFile(join(share.source, 'f'), 'new');
    const file = await open(join(share.source, 'f'));
    await file.utimes(atime, mtime);
    await file.close();
    await eventually(async () => (await share.seen('f')) === 'new');
  });

  it('changes a file into a directory and back', async () => {
    await writeFile(join(share.source, 'x'), 'file');
    await share.attach();
    await rm(join(share.source, 'x'));
    await mkdir(join(share.source, 'x'));
    await writeFile(join(share.source, 'x/y'), 'below');
    await eventually(async () => (await share.seen('x/y')) === 'below');
    await rm(join(share.source, 'x'), { recursive: true });
    await writeFile(join(share.source, 'x'), 'again');
    await eventually(async () => (await share.seen('x')) === 'again');
  });

  it('writes to a single file in place: a container has that very file', async () => {
    await writeFile(join(share.source, 'f'), 'old and long');
    await share.attach(join(share.source, 'f'));
    const { ino } = await stat(share.target);
    await writeFile(join(share.source, 'f'), 'new');
    await eventually(async () => (await readFile(share.target, 'utf8')) === 'new');
    assert.equal((await stat(share.target)).ino, ino);
  });

  for (const [title, fill] of [
    ['more files', async () => Promise.all(Array.from({ length: 17 }, (_, at) => writeFile(join(share.source, `${at}`), '')))],
    ['more bytes', async () => writeFile(join(share.source, 'f'), Buffer.alloc(MIB + 1))],
    ['more directories', async () => mkdir(join(share.source, Array(16).fill('d').join('/')), { recursive: true })],
  ] as const) {
    it(`binds the source itself where there are ${title} than may be copied`, async () => {
      await fill();
      await share.attach(share.source, ['rbind', 'ro']);
      const flags = MS.BIND | MS.REC | MS.RDONLY;
      assert.deepEqual(share.door.calls.slice(2), [
        `umount ${share.target}`,
        `mount ${share.source} ${share.target}  ${flags}`,
        `mount none ${share.target}  ${flags | MS.REMOUNT}`,
      ]);
      assert.deepEqual(share.warnings, ['a watchable storage is bound instead: changes are seen without inotify']);
    });
  }

  it('copies as much as may be copied', async () => {
    for (let at = 0; at < 15; at++) await writeFile(join(share.source, `${at}`), '');
    await writeFile(join(share.source, 'large'), Buffer.alloc(MIB));
    await share.attach();
    assert.equal((await stat(join(share.target, 'large'))).size, MIB);
    assert.equal(share.door.calls.length, 2);
  });

  it('binds the source over the copy when it grows too large, and takes both off', async () => {
    await writeFile(join(share.source, 'f'), 'small');
    const detach = await share.attach();
    await writeFile(join(share.source, 'f'), Buffer.alloc(MIB + 1));
    await eventually(async () => share.door.calls.length === 3);
    assert.equal(share.door.calls[2], `mount ${share.source} ${share.target}  ${MS.BIND}`);
    assert.equal(await share.seen('f'), 'small');
    await polls(2);
    assert.equal(share.door.calls.length, 3);
    await detach();
    assert.deepEqual(share.door.calls.slice(3), [
      `umount ${share.target}`,
      `umount ${share.target}`,
      `umount ${share.root}/share/watchable`,
    ]);
  });

  it('writes nothing any more once it is detached', async () => {
    await writeFile(join(share.source, 'f'), 'old');
    const detach = await share.attach();
    await detach();
    await writeFile(join(share.source, 'f'), 'new');
    await polls(3);
    assert.equal(await share.seen('f'), 'old');
  });

  it('keeps the last copy while the source is gone, says so once, and goes on when it is back', async () => {
    await writeFile(join(share.source, 'f'), 'old');
    await share.attach();
    await rename(share.source, `${share.source}.away`);
    await polls(4);
    assert.equal(await share.seen('f'), 'old');
    assert.deepEqual(share.warnings, ['a watched source is not copied']);
    await writeFile(`${share.source}.away/f`, 'new');
    await rename(`${share.source}.away`, share.source);
    await eventually(async () => (await share.seen('f')) === 'new');
  });

  it('shares its area with others, and takes it off with the last of them', async () => {
    const first = await share.attach();
    share.target = join(share.root, 'share/watchable/other');
    const second = await share.attach();
    await first();
    assert.equal(share.door.calls.filter((call) => call === `umount ${share.root}/share/watchable`).length, 0);
    await second();
    await second();
    assert.equal(share.door.calls.filter((call) => call === `umount ${share.root}/share/watchable`).length, 1);
  });

  it('leaves no descriptor open', async () => {
    const openFds = async () => (await readdir('/proc/self/fd')).length;
    await config.write({ a: '1' });
    const before = await openFds();
    const detach = await share.attach();
    for (let generation = 0; generation < 5; generation++) {
      await config.write({ a: `${generation}` });
      await polls(1);
    }
    await detach();
    await eventually(async () => (await openFds()) === before);
  });
});
