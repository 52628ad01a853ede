// openBeneath, and what the kernel is given: entropy, swap. The refusals need no rights.
import assert from 'node:assert/strict';
import { constants, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { native } from '../../../native/index.ts';
import { assertNoFdLeak, CAP_SYS_ADMIN, hasCapability, systemError } from './fixture.ts';

const O_PATH = 0o10000000;

describe('native openBeneath', () => {
  let folder: string;
  let root: FileHandle;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-openat2-'));
    mkdirSync(join(folder, 'root/sub'), { recursive: true });
    mkdirSync(join(folder, 'outside'));
    writeFileSync(join(folder, 'root/sub/file'), 'content');
    root = await open(join(folder, 'root'), constants.O_RDONLY | constants.O_DIRECTORY);
  });
  afterEach(async () => {
    await root.close();
    rmSync(folder, { recursive: true });
  });

  it('opens below the directory, through a link that stays there, and leaks nothing', async () => {
    symlinkSync('../sub', join(folder, 'root/sub/back'));
    const opened = async (path: string) => native().close(await native().openBeneath(root.fd, path, constants.O_RDONLY, 0));
    await assertNoFdLeak(8, async () => {
      await opened('sub/file');
      await opened('sub/back/back/file');
    });
  });

  it('gives the mode to what it creates', async () => {
    const fd = await native().openBeneath(root.fd, 'new', constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY, 0o600);
    native().close(fd);
    assert.deepEqual(readdirSync(join(folder, 'root')).sort(), ['new', 'sub']);
  });

  for (const [title, path, link, code] of [
    ['an absolute path', '/etc/passwd', undefined, 'EXDEV'],
    ['a path that climbs', '../outside', undefined, 'EXDEV'],
    ['a path that climbs and comes back', '../root/sub', undefined, 'EXDEV'],
    ['an absolute link', 'link', '/etc', 'EXDEV'],
    ['a link that climbs', 'link', '../outside', 'EXDEV'],
    ["a link of /proc's", 'link', '/proc/self/root', 'EXDEV'],
    ['a missing file', 'none', undefined, 'ENOENT'],
  ] as const) {
    it(`refuses ${title}`, async () => {
      if (link !== undefined) symlinkSync(link, join(folder, 'root', path));
      await assert.rejects(native().openBeneath(root.fd, path, O_PATH, 0), systemError(code, 'openat2', path));
    });
  }

  it('follows no link at all when told so, wherever it leads', async () => {
    symlinkSync('sub', join(folder, 'root/link'));
    for (const path of ['link', 'link/file', 'sub/../link']) {
      native().close(await native().openBeneath(root.fd, path, O_PATH, 0));
      await assert.rejects(native().openBeneath(root.fd, path, O_PATH, 0, true), systemError('ELOOP', 'openat2', path));
    }
    native().close(await native().openBeneath(root.fd, 'sub/file', O_PATH, 0, true));
  });

  it("refuses a magic link below /proc, which leads out without a path's help", async () => {
    const proc = await open('/proc', constants.O_RDONLY | constants.O_DIRECTORY);
    await assert.rejects(native().openBeneath(proc.fd, 'self/root', O_PATH, 0), systemError('ELOOP', 'openat2', 'self/root'));
    await proc.close();
  });

  it('rejects what is no open directory, and arguments of the wrong kind', async () => {
    await assert.rejects(native().openBeneath(1 << 20, 'x', O_PATH, 0), systemError('EBADF', 'fcntl', undefined));
    await assert.rejects(native().openBeneath(root.fd, '', O_PATH, 0), { name: 'TypeError', message: /"path"/ });
    await assert.rejects(native().openBeneath(root.fd, 'x', O_PATH, 0o10000), { name: 'TypeError', message: /"mode"/ });
  });
});

describe('native entropy and swap', () => {
  it('takes entropy, where it may', async () => {
    const given = native().addEntropy(Buffer.alloc(32, 7));
    if (hasCapability(CAP_SYS_ADMIN)) await given;
    else await assert.rejects(given, systemError('EPERM', 'ioctl', '/dev/random'));
  });

  for (const bytes of [0, 65_537]) {
    it(`refuses ${bytes} bytes of entropy`, async () => {
      await assert.rejects(native().addEntropy(Buffer.alloc(bytes)), { name: 'TypeError', message: /"data"/ });
    });
  }

  it('names the path of swap space that it can not use', async () => {
    const code = hasCapability(CAP_SYS_ADMIN) ? 'ENOENT' : 'EPERM';
    await assert.rejects(native().swapOn('/no/such/swap', 0), systemError(code, 'swapon', '/no/such/swap'));
  });
});

describe('native growXfs', () => {
  it('asks no other file system, to which the number of the call means something else', async () => {
    await assert.rejects(native().growXfs('/proc', 4096n), systemError('EOPNOTSUPP', 'ioctl', '/proc'));
    await assert.rejects(native().growXfs('/no/such/volume', 4096n), systemError('ENOENT', 'open', '/no/such/volume'));
    await assert.rejects(native().growXfs('/etc/passwd', 4096n), systemError('ENOTDIR', 'open', '/etc/passwd'));
  });

  it('refuses sizes that are none', async () => {
    for (const size of [0n, -1n, 1n << 64n, 4096]) {
      await assert.rejects(native().growXfs('/', size as bigint), { name: 'TypeError', message: /"bytes"/ });
    }
  });
});
