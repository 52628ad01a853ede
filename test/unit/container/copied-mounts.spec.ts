import assert from 'node:assert/strict';
import { type CopiedMount, checkCopiedMounts, copyMounts, type InitProcess } from '../../../agent/container/copied-mounts.ts';
import { hasCode } from '../../../agent/errors.ts';

const MOUNT: CopiedMount = { name: 'volume', sourceContainer: 'fuse', sourcePath: '/mnt/data', targetPath: '/data' };
const process = (pid: number, changes: Partial<InitProcess> = {}): InitProcess => ({
  identity: { containerId: `c${pid}`, execId: `c${pid}`, pid, startTime: 1n },
  exit: undefined,
  pidfd: pid + 1000,
  ...changes,
});

describe('mounts that a container gets from another', () => {
  let calls: unknown[][];
  /** What is mounted in the source, look by look. */
  let looks: string[][];
  let source: InitProcess | undefined;

  beforeEach(() => {
    calls = [];
    looks = [['/', '/mnt/data']];
    source = process(7);
  });
  const copy = (mounts = [MOUNT]) =>
    copyMounts(mounts, process(8), {
      find: (name) => (name === 'fuse' ? source : undefined),
      door: { copyMount: async (...call) => void calls.push(call) },
      mountsOf: async () => (looks.length > 1 ? looks.shift()! : looks[0]!).map((target) => ({ target })),
      waitMs: 250,
    });
  const failed = (code: Parameters<typeof hasCode>[1]) => (error: unknown) =>
    hasCode(error, code) && error.fields['field'] === 'shared_mounts' && error.message.includes('volume');

  it('are copied from process to process', async () => {
    await copy();
    assert.deepEqual(calls, [[1007, '/mnt/data', 1008, '/data']]);
  });

  it('are waited for: their maker may only just have started', async () => {
    looks = [['/'], ['/'], ['/', '/mnt/data']];
    await copy();
    assert.equal(calls.length, 1);
  });

  it('that never come are named, as is a container that is not there or has ended', async () => {
    looks = [['/', '/mnt/data2', '/mnt']];
    await assert.rejects(copy(), failed('deadline_exceeded'));
    await assert.rejects(copy([{ ...MOUNT, sourceContainer: 'other' }]), failed('not_found'));
    source = process(7, { exit: { code: 0, coreDumped: false, exitedAt: 0 }, pidfd: undefined });
    await assert.rejects(copy(), failed('failed_precondition'));
    assert.deepEqual(calls, []);
  });

  it('lie at plain absolute paths that are not the kernel’s', () => {
    assert.deepEqual(checkCopiedMounts([{ ...MOUNT, sourcePath: '/mnt//data/', targetPath: '/data/.' }]), [MOUNT]);
    for (const change of [
      { sourcePath: 'mnt' },
      { sourcePath: '/mnt/../etc' },
      { targetPath: '' },
      { targetPath: '/' },
      { targetPath: '/proc/1' },
      { targetPath: '/sys/fs/cgroup' },
      { targetPath: '/a/../b' },
      { sourceContainer: '' },
    ]) {
      assert.throws(
        () => checkCopiedMounts([{ ...MOUNT, ...change }]),
        (error) => hasCode(error, 'invalid_argument') && String(error.fields['field']).startsWith('shared_mounts[0].'),
        JSON.stringify(change),
      );
    }
    assert.throws(
      () => checkCopiedMounts(Array(65).fill(MOUNT)),
      (error) => hasCode(error, 'invalid_argument'),
    );
  });
});
