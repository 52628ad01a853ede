import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { remountEphemeral } from '../../../../agent/container/storage/remount.ts';
import type { Storage } from '../../../../agent/container/storage/storage.ts';
import { hasCode } from '../../../../agent/errors.ts';
import { MS } from '../../../../native/index.ts';
import { type RecordingDoor, recordingDoor } from './recording-door.ts';

describe('ephemeral storage in use', () => {
  let directory: string;
  let door: RecordingDoor;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'berth-remount-'));
    await mkdir(join(directory, 'shm'));
    door = recordingDoor();
  });
  afterEach(() => rm(directory, { recursive: true }));

  const storage = (more: Partial<Storage> = {}): Storage => ({
    driver: 'ephemeral',
    driverOptions: [],
    source: 'shm',
    fstype: 'tmpfs',
    options: ['remount', 'size=64m', 'fsgid=1000'],
    mountPoint: join(directory, 'shm'),
    shared: false,
    ...more,
  });
  const mounted = (fstype = 'tmpfs', options: string[] = ['rw', 'relatime']) => [
    { target: join(directory, 'shm'), fstype, source: 'shm', options },
  ];
  const remount = (storages: Storage[], mounts = mounted()) => remountEphemeral(storages, door, async () => mounts);

  it('gets its new size, without the option that is not the kernel’s', async () => {
    await remount([storage()]);
    assert.deepEqual(door.calls, [`mount tmpfs ${directory}/shm tmpfs ${MS.REMOUNT | MS.RELATIME} size=64m`]);
  });

  it('keeps the restrictions it has unless the request lifts them', async () => {
    const options = ['rw', 'nosuid', 'nodev', 'noexec'];
    await remount([storage({ options: ['size=1m', 'exec'] })], mounted('tmpfs', options));
    assert.deepEqual(door.calls, [`mount tmpfs ${directory}/shm tmpfs ${MS.REMOUNT | MS.NOSUID | MS.NODEV} size=1m`]);
  });

  it('of none changes nothing', async () => {
    await remount([]);
    assert.deepEqual(door.calls, []);
  });

  for (const [title, asked, mounts, text] of [
    ['another driver', { driver: 'blk' }, mounted, /Failed to update mounts: Unsupported storage type for syncing mounts blk/],
    ['a place where nothing is mounted', { mountPoint: '/run/none' }, mounted, /no tmpfs is mounted on \/run\/none/],
    ['a mount of another kind', {}, () => mounted('virtiofs'), /no tmpfs is mounted/],
    ['a tmpfs hidden by another mount', {}, () => [...mounted(), ...mounted('ext4')], /no tmpfs is mounted/],
    ["the guest's own", { mountPoint: '/run/berth' }, mounted, /belongs to the guest/],
  ] as const) {
    it(`refuses ${title} before it changes any`, async () => {
      await assert.rejects(remount([storage(), storage(asked)], [...mounts()]), text);
      assert.deepEqual(door.calls, []);
    });
  }

  it('is not reached through a link', async () => {
    await symlink('shm', join(directory, 'link'));
    const target = join(directory, 'link');
    await assert.rejects(remount([storage({ mountPoint: target })], [{ ...mounted()[0]!, target }]), (error) =>
      hasCode(error, 'invalid_argument'),
    );
    assert.deepEqual(door.calls, []);
  });
});
