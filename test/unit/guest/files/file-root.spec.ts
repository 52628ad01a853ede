// Files of a root whose content works against the agent: whatever it plants and whenever, nothing outside is read or changed.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:fs';
import { link, mkdir, mkdtemp, open, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasCode } from '../../../../agent/errors.ts';
import { FileRoot, type FilesDoor, O_PATH } from '../../../../agent/guest/files/file-root.ts';
import { removePath } from '../../../../agent/guest/files/names.ts';
import { Uploads } from '../../../../agent/guest/files/uploads.ts';
import { native } from '../../../../native/index.ts';

describe('a root with hostile content', () => {
  let folder: string;
  let outside: string;
  let root: FileRoot;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'berth-root-'));
    outside = join(folder, 'outside');
    await mkdir(join(folder, 'root/real'), { recursive: true });
    await mkdir(outside);
    await writeFile(join(outside, 'secret'), 'secret');
    root = await rootAt(join(folder, 'root'), native());
  });
  afterEach(async () => {
    root[Symbol.dispose]();
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  });

  async function rootAt(path: string, door: FilesDoor): Promise<FileRoot> {
    await using handle = await open(path, O_PATH | constants.O_DIRECTORY);
    return new FileRoot(await native().openBeneath(handle.fd, '.', O_PATH | constants.O_DIRECTORY, 0), door);
  }

  async function write(path: string, text: string, into = root): Promise<void> {
    const uploads = new Uploads();
    const request = { containerId: '', path, mode: 0o644, uid: 0, gid: 0, makeParents: true, exclusive: false, key: '' };
    const upload = await uploads.begin(into, request, { takenOver: () => {}, ended: undefined });
    if (!('write' in upload)) throw new TypeError('finished already');
    await upload.write(0, Buffer.from(text));
    await upload
      .finish({ sha256: new Uint8Array(0), size: Buffer.byteLength(text), durable: false })
      .finally(() => uploads.leave(upload, { keep: false }));
  }

  const links: Readonly<Record<string, string>> = {
    'an absolute link': 'OUTSIDE',
    'a relative link': '../../outside',
    'a link that goes down and climbs out': 'real/../../../outside',
    'a link to the root of the machine': '/proc/self/root/OUTSIDE',
    'a link of /proc': '/proc/self/cwd',
  };
  for (const [title, target] of Object.entries(links)) {
    it(`does not lead out by ${title}`, async () => {
      await symlink(target.replace('OUTSIDE', outside), join(folder, 'root/link'));
      await assert.rejects(root.openFile('/link/secret'), (error) => hasCode(error, 'not_found'));
      await assert.rejects(write('/link/new', 'new'), (error) => hasCode(error, 'not_found'));
      assert.deepEqual(await readdir(outside), ['secret']);
      await removePath(root, '/link', { recursive: true, missingOk: false });
      assert.equal(await readFile(join(outside, 'secret'), 'utf8'), 'secret');
    });
  }

  it('has an absolute link lead to where it leads in the root', async () => {
    await symlink(outside, join(folder, 'root/link'));
    await mkdir(join(folder, 'root', outside), { recursive: true });
    await write('/link/new', 'new');
    assert.deepEqual(await readdir(outside), ['secret']);
    assert.deepEqual(await readdir(join(folder, 'root', outside)), ['new']);
  });

  it('has nothing written through a hard link to a file outside', async () => {
    await link(join(outside, 'secret'), join(folder, 'root/real/file'));
    await write('/real/file', 'new');
    assert.equal(await readFile(join(outside, 'secret'), 'utf8'), 'secret');
    assert.equal(await readFile(join(folder, 'root/real/file'), 'utf8'), 'new');
  });

  it('has nothing written elsewhere while a directory is swapped for a link', async function () {
    this.timeout(30_000);
    const script = 'while :; do mv real kept; ln -s "$1" real; rm real; mv kept real; done';
    const swapping = spawn('sh', ['-c', script, 'sh', outside], { cwd: join(folder, 'root'), stdio: 'ignore', detached: true });
    let written = 0;
    let refused = 0;
    try {
      const until = performance.now() + 2500;
      while (performance.now() < until) {
        await write('/real/file', 'new').then(
          () => written++,
          (error: unknown) => {
            assert.ok(hasCode(error, 'not_found') || hasCode(error, 'failed_precondition'), String(error));
            refused++;
          },
        );
      }
    } finally {
      // With the mv or ln that it waits for.
      process.kill(-swapping.pid!, 'SIGKILL');
      await once(swapping, 'exit');
    }
    assert.ok(written > 0);
    assert.deepEqual(await readdir(outside), ['secret']);
    console.log(`      ${written} written within, ${refused} refused`);
  });

  it('has what is no regular file never opened', async () => {
    // Opening it would wait for ever, and hold up everybody's files.
    const made = spawn('mkfifo', [join(folder, 'root/pipe')]);
    await once(made, 'exit');
    await assert.rejects(root.openFile('/pipe'), (error) => hasCode(error, 'failed_precondition'));
    await write('/pipe', 'new');
    assert.equal(await readFile(join(folder, 'root/pipe'), 'utf8'), 'new');
  });
});
