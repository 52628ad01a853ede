import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasCode } from '../../../agent/errors.ts';
import { pinSandboxNamespaces } from '../../../agent/guest/namespaces.ts';

describe("the sandbox's namespaces", () => {
  let directory: string;
  let calls: string[];
  let failing: string | undefined;
  const door = {
    pinNamespace: async (kind: 'ipc' | 'uts', path: string, hostname?: string) => {
      if (kind === failing) throw Object.assign(new Error('EPERM: unshare'), { code: 'EPERM' });
      calls.push(`pin ${kind} ${path.slice(directory.length)} ${hostname}`);
    },
    umount: async (path: string) => {
      calls.push(`umount ${path.slice(directory.length)}`);
    },
  };

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'berth-ns-'));
    calls = [];
    failing = undefined;
  });
  afterEach(() => rm(directory, { recursive: true }));

  it('take the place of an earlier sandbox’s, and the hostname goes to the uts one', async () => {
    const paths = await pinSandboxNamespaces('pod', join(directory, 'ns'), door);
    assert.deepEqual(paths, { ipcPath: join(directory, 'ns/ipc'), utsPath: join(directory, 'ns/uts') });
    assert.deepEqual(calls, ['umount /ns/ipc', 'umount /ns/uts', 'pin ipc /ns/ipc undefined', 'pin uts /ns/uts pod']);
  });

  it('keep the guest’s hostname when none is given', async () => {
    await pinSandboxNamespaces('', join(directory, 'ns'), door);
    assert.equal(calls.at(-1), 'pin uts /ns/uts undefined');
  });

  it('come both or not at all', async () => {
    failing = 'uts';
    await assert.rejects(pinSandboxNamespaces('pod', join(directory, 'ns'), door), (error) =>
      hasCode(error, 'permission_denied'),
    );
    assert.equal(calls.at(-1), 'umount /ns/ipc');
  });

  it('take no hostname that the kernel would not', async () => {
    for (const hostname of ['x'.repeat(65), 'é'.repeat(33), 'a\0b']) {
      await assert.rejects(
        pinSandboxNamespaces(hostname, directory, door),
        (error) => hasCode(error, 'invalid_argument') && error.fields['field'] === 'hostname',
      );
    }
    assert.deepEqual(calls, []);
  });
});
