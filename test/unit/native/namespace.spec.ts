// pinNamespace: a namespace that lasts while its file is mounted.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { native } from '../../../native/index.ts';
import { assertNoFdLeak, CAP_SYS_ADMIN, hasCapability, run, systemError } from './fixture.ts';

describe('native pinNamespace', () => {
  const privileged = hasCapability(CAP_SYS_ADMIN);
  let folder = '';
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-ns-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  const inside = (kind: string, path: string, ...command: string[]) =>
    run('/usr/bin/nsenter', [`--${kind}=${path}`, ...command]).then(({ stdout }) => stdout.trim());

  it('pins a uts namespace with the host name given, and leaves ours alone', async function () {
    if (!privileged) return this.skip();
    const path = join(folder, 'uts');
    const before = [hostname(), readlinkSync('/proc/self/ns/uts')];
    await native().pinNamespace('uts', path, 'pod-name.example');
    assert.equal(await inside('uts', path, 'hostname'), 'pod-name.example');
    assert.notEqual(await inside('uts', path, 'readlink', '/proc/self/ns/uts'), before[1]);
    assert.deepEqual([hostname(), readlinkSync('/proc/self/ns/uts')], before);
    await native().umount(path, 2);
  });

  it('pins an ipc namespace that two processes share', async function () {
    if (!privileged) return this.skip();
    const path = join(folder, 'ipc');
    writeFileSync(path, '');
    await native().pinNamespace('ipc', path);
    const [first, second] = await Promise.all([0, 1].map(() => inside('ipc', path, 'readlink', '/proc/self/ns/ipc')));
    assert.equal(first, second);
    assert.notEqual(first, readlinkSync('/proc/self/ns/ipc'));
    await native().umount(path, 2);
  });

  it('moves none of the threads of this process, the pool included', async function () {
    if (!privileged) return this.skip();
    const path = join(folder, 'threads');
    await native().pinNamespace('uts', path, 'elsewhere');
    const { stdout } = await run('/bin/sh', ['-c', `readlink /proc/${process.pid}/task/*/ns/uts | sort -u | wc -l`]);
    assert.equal(stdout.trim(), '1');
    await native().umount(path, 2);
  });

  it('removes the file it made, and only that, when the namespace can not be pinned', async () => {
    const made = join(folder, 'made');
    const long = 'x'.repeat(65);
    const unshareOrName = privileged ? systemError('EINVAL', 'sethostname') : systemError('EPERM', 'unshare');
    await assert.rejects(native().pinNamespace('uts', made, long), unshareOrName);
    assert.equal(existsSync(made), false);
    writeFileSync(made, '');
    await assert.rejects(native().pinNamespace('uts', made, long), unshareOrName);
    assert.equal(existsSync(made), true);
    const missing = join(folder, 'missing/file');
    await assert.rejects(native().pinNamespace('ipc', missing), systemError('ENOENT', 'open', missing));
  });

  it('refuses a kind it does not know, and a host name for ipc', async () => {
    await assert.rejects(native().pinNamespace('net' as never, '/tmp/x'), { name: 'TypeError', message: /"kind"/ });
    await assert.rejects(native().pinNamespace('ipc', '/tmp/x', 'name'), { name: 'TypeError', message: /"hostname"/ });
  });

  it('keeps no fd', async function () {
    if (!privileged) return this.skip();
    await assertNoFdLeak(5, async () => {
      const path = join(folder, 'leak');
      await native().pinNamespace('ipc', path);
      await native().umount(path, 2);
    });
  });
});
