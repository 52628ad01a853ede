import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ephemeral } from '../../../../agent/container/storage/ephemeral.ts';
import type { StorageHost } from '../../../../agent/container/storage/storage.ts';
import { hasCode } from '../../../../agent/errors.ts';
import { type RecordingDoor, recordingDoor } from './recording-door.ts';

describe('ephemeral storage of huge pages', () => {
  let root: string;
  let door: RecordingDoor;
  let counter: string;

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'berth-huge-'));
    door = recordingDoor();
    const pages = join(root, 'sys/kernel/mm/hugepages/hugepages-2048kB');
    await mkdir(pages, { recursive: true });
    counter = join(pages, 'nr_hugepages');
    await writeFile(counter, '3\n');
  });
  afterEach(() => rm(root, { recursive: true }));

  const attach = (...options: string[]) => {
    const host = {
      door,
      sysDir: join(root, 'sys'),
      bundleDir: root,
      devDir: '/dev',
      hotplugTimeoutMs: 1,
    } as unknown as StorageHost;
    const mountPoint = join(root, `m${door.calls.length}`);
    const storage = {
      driver: 'ephemeral',
      driverOptions: [],
      source: 'nodev',
      fstype: 'hugetlbfs',
      options,
      mountPoint,
      shared: false,
    };
    return ephemeral.attach(storage, host, undefined);
  };
  const count = async () => Number(await readFile(counter, 'utf8'));

  it('reserves as many pages as it needs beside those that are there, and gives them back', async () => {
    const detach = await attach('pagesize=2097152', 'size=8388608');
    assert.equal(await count(), 7);
    assert.deepEqual(door.calls, [`mount nodev ${root}/m0 hugetlbfs 0 pagesize=2097152,size=8388608`]);
    await detach();
    assert.equal(await count(), 3);
  });

  it('counts right when several come and go at the same time', async () => {
    const attached = await Promise.all(Array.from({ length: 8 }, () => attach('pagesize=2M,size=4M')));
    assert.equal(await count(), 3 + 8 * 2);
    await Promise.all(attached.map((detach) => detach()));
    assert.equal(await count(), 3);
  });

  it('gives the pages back when the mount fails', async () => {
    door.fail = { match: /^mount/, code: 'EPERM' };
    await assert.rejects(attach('pagesize=2M', 'size=2M'));
    assert.equal(await count(), 3);
  });

  it('refuses a size of page that the guest does not have', async () => {
    await assert.rejects(attach('pagesize=1G', 'size=1G'), (error) => hasCode(error, 'invalid_argument'));
    assert.deepEqual(door.calls, []);
  });

  for (const options of [
    [],
    ['pagesize=2M'],
    ['size=2M'],
    ['pagesize=3M', 'size=3M'],
    ['pagesize=2M', 'size=3M'],
    ['pagesize=2M', 'size=0'],
    ['pagesize=2M', 'size=-2M'],
    ['pagesize=2M', 'size=99999999999999999999'],
    ['pagesize=../../x', 'size=2M'],
  ]) {
    it(`refuses ${JSON.stringify(options)}`, async () => {
      await assert.rejects(
        attach(...options),
        (error) => hasCode(error, 'invalid_argument') && error.fields['field'] === 'options',
      );
      assert.equal(await count(), 3);
    });
  }
});
