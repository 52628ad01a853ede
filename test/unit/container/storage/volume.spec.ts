import assert from 'node:assert/strict';
import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { resizeVolume } from '../../../../agent/container/storage/volume-resize.ts';
import { VolumeStatsReader } from '../../../../agent/container/storage/volume-stats.ts';
import { hasCode } from '../../../../agent/errors.ts';
import { MS } from '../../../../native/index.ts';
import { type RecordingDoor, recordingDoor } from './recording-door.ts';

describe('the usage of a volume', () => {
  it('adds up, for bytes and for inodes', async () => {
    const { bytes, inodes } = await new VolumeStatsReader().read('/');
    for (const { total, available, used } of [bytes, inodes]) assert.equal(used + available, total);
    assert.ok(bytes.total > 0n && bytes.used > 0n);
  });

  for (const [path, code] of [
    ['/no/such/volume', 'not_found'],
    ['relative', 'invalid_argument'],
    ['', 'invalid_argument'],
    ['/x/../y', 'invalid_argument'],
  ] as const) {
    it(`of ${JSON.stringify(path)} is ${code}`, async () => {
      await assert.rejects(new VolumeStatsReader().read(path), (error) => hasCode(error, code));
    });
  }

  it('that hangs costs each caller its deadline, one thread a path, and no more than four in all', async () => {
    const stuck = Promise.withResolvers<never>();
    let begun = 0;
    const read = () => {
      begun++;
      return stuck.promise;
    };
    const reader = new VolumeStatsReader({ timeoutMs: 10, read });
    const late = (error: unknown) => hasCode(error, 'deadline_exceeded');
    for (const path of ['/a', '/a', '/b', '/c', '/d']) await assert.rejects(reader.read(path), late);
    assert.equal(begun, 4);
    await assert.rejects(reader.read('/e'), (error) => hasCode(error, 'resource_exhausted'));
    stuck.reject(new Error('gone'));
    await new Promise((resolve) => setImmediate(resolve));
    await assert.rejects(reader.read('/e'));
    assert.equal(begun, 5);
  });
});

describe('resizing a volume', () => {
  let directory: string;
  let door: RecordingDoor;
  let ran: string[][];
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'berth-resize-'));
    door = recordingDoor();
    ran = [];
  });
  afterEach(() => rm(directory, { recursive: true }));

  const run = async (file: string, args: readonly string[]) => {
    ran.push([file, ...args]);
    return { stdout: '', stderr: '' };
  };
  const growXfs = async (path: string, bytes: bigint) => void ran.push(['growXfs', await realpath(path), String(bytes)]);
  const resize = (size: bigint, ...fstypes: string[]) => {
    const mounts = fstypes.map((fstype) => ({ target: directory, fstype, source: '/dev/vdz', options: ['rw', 'nosuid'] }));
    return resizeVolume(directory, size, { door: { ...door, growXfs }, run, mounts: async () => mounts });
  };

  it('gives a tmpfs its size and keeps its restrictions', async () => {
    await resize(1_048_576n, 'tmpfs');
    assert.deepEqual(door.calls, [`mount tmpfs ${directory} tmpfs ${MS.REMOUNT | MS.NOSUID} size=1048576`]);
  });

  for (const fstype of ['ext2', 'ext3', 'ext4']) {
    it(`grows ${fstype} by its tool, in whole KiB`, async () => {
      await resize(1_048_577n, fstype);
      assert.deepEqual(ran, [['resize2fs', '/dev/vdz', '1024K']]);
    });
  }

  it('grows XFS through the kernel, by the directory itself', async () => {
    await resize(1_048_577n, 'xfs');
    assert.deepEqual(ran, [['growXfs', directory, '1048577']]);
  });

  it('takes the mount that hides the others', async () => {
    await resize(4096n, 'ext4', 'tmpfs');
    assert.deepEqual(ran, []);
  });

  it('names a file system that it can not resize', async () => {
    await assert.rejects(resize(4096n, 'virtiofs'), (error) => hasCode(error, 'unimplemented') && /virtiofs/.test(error.message));
  });

  it('refuses a size of nothing, a size beyond all sizes, and a place that is no mount point', async () => {
    await assert.rejects(resize(0n, 'tmpfs'), (error) => hasCode(error, 'invalid_argument'));
    await assert.rejects(resize(2n ** 63n, 'tmpfs'), (error) => hasCode(error, 'invalid_argument'));
    await assert.rejects(resize(1n), (error) => hasCode(error, 'failed_precondition'));
  });
});
