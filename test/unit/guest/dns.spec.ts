import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasCode } from '../../../agent/errors.ts';
import { setupDns } from '../../../agent/guest/dns.ts';
import { MS } from '../../../native/index.ts';

describe("the guest's resolver configuration", () => {
  let directory: string;
  let calls: string[];
  const door = {
    mount: async (source: string, target: string, _fstype: string, flags: number) => {
      assert.equal(flags, MS.BIND);
      calls.push(`mount ${source} ${target}`);
    },
    umount: async (target: string) => {
      calls.push(`umount ${target}`);
      throw Object.assign(new Error('EINVAL'), { code: 'EINVAL' });
    },
  };
  const places = () => ({ written: join(directory, 'sandbox/resolv.conf'), resolver: join(directory, 'resolv.conf') });

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'berth-dns-'));
    calls = [];
  });
  afterEach(() => rm(directory, { recursive: true }));

  it('is written from the lines given and mounted over the image’s', async () => {
    const { written, resolver } = places();
    await writeFile(resolver, '');
    await setupDns([' nameserver 10.0.0.1 ', 'search x\n'], places(), door);
    assert.equal(await readFile(written, 'utf8'), 'nameserver 10.0.0.1\nsearch x\n');
    assert.deepEqual(calls, [`umount ${resolver}`, `mount ${written} ${resolver}`]);
  });

  it('stays as it is without lines, or without a file to mount over', async () => {
    await setupDns(['nameserver 10.0.0.1'], places(), door);
    await writeFile(places().resolver, '');
    await setupDns([], places(), door);
    assert.ok(calls.every((call) => call.startsWith('umount')));
  });

  it('cannot be mounted over a directory', async () => {
    await mkdir(places().resolver);
    await assert.rejects(setupDns(['x'], places(), door), (error) => hasCode(error, 'failed_precondition'));
  });
});
