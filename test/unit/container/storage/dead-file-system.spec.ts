// Storages with a real file system under them that never answers: a FUSE mount without a server, in a mount namespace of its own.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CAP_SYS_ADMIN, hasCapability } from '../../native/fixture.ts';

const FIXTURES = join(import.meta.dirname, '../../../fixtures/storage');

describe('a file system that never answers', () => {
  it('ends what is attached on it with its name, holds up no other storage, and leaves threads for files', async function () {
    if (!hasCapability(CAP_SYS_ADMIN)) return this.skip();
    const folder = await mkdtemp(join(tmpdir(), 'berth-dead-'));
    const dead = join(folder, 'dead');
    await mkdir(dead);
    const program = [process.execPath, join(FIXTURES, 'attach-on-dead.ts'), dead, folder];
    const args = ['-m', 'sh', join(FIXTURES, 'dead-file-system.sh'), dead, ...program];
    const { stdout } = await promisify(execFile)('unshare', args, {
      timeout: 30_000,
      env: { ...process.env, UV_THREADPOOL_SIZE: '16' },
    });
    const { outcomes, other, reads } = JSON.parse(stdout);
    outcomes.forEach((outcome: string, at: number) => {
      const [what, where] = at % 4 === 0 ? ['local storage `x`', dead] : [`virtio-fs storage \`${dead}\``, folder];
      assert.equal(outcome, `deadline_exceeded: attach ${what} on ${where}/${at}: nothing happened for 1000 ms`);
    });
    assert.equal(outcomes.length, 28);
    assert.equal(other, 'attached and detached');
    assert.ok(reads >= 20, `${reads} reads in a second`);
    await rm(folder, { recursive: true });
  });
});
