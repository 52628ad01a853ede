import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseFeatures, readCrunFeatures } from '../../../agent/container/crun-features.ts';

const VERSION =
  'crun version 1.28\ncommit: 54f16ff\nrundir: /run/crun\nspec: 1.0.0\n+SYSTEMD -SELINUX +CAP +SECCOMP +EBPF +JSON_C\n';

describe('the features of crun', () => {
  let directory: string;
  const crun = async (script: string) => {
    const file = join(directory, 'crun');
    await writeFile(file, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    return file;
  };

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'berth-crun-'));
  });
  afterEach(() => rm(directory, { recursive: true }));

  it('are those with a plus', () => {
    assert.deepEqual([...parseFeatures(VERSION)], ['SYSTEMD', 'CAP', 'SECCOMP', 'EBPF', 'JSON_C']);
    assert.deepEqual([...parseFeatures('')], []);
  });

  it('are asked of the program itself, and no descriptor is left', async () => {
    const file = await crun(`[ "$1" = --version ] && printf '${VERSION.replaceAll('\n', '\\n')}'`);
    const before = (await readdir('/proc/self/fd')).length;
    assert.equal((await readCrunFeatures(file)).has('SECCOMP'), true);
    assert.equal((await readdir('/proc/self/fd')).length, before);
  });

  it('are none of a program that says nothing', async () => {
    assert.equal((await readCrunFeatures(await crun('exit 1'))).size, 0);
  });

  it('are none of a program that is not there, and no descriptor is left', async () => {
    const before = (await readdir('/proc/self/fd')).length;
    assert.equal((await readCrunFeatures(join(directory, 'none'))).size, 0);
    assert.equal((await readdir('/proc/self/fd')).length, before);
  });

  it('cannot be had of a program that must not be run', async () => {
    await writeFile(join(directory, 'locked'), '', { mode: 0o600 });
    await assert.rejects(readCrunFeatures(join(directory, 'locked')), { code: 'EACCES' });
  });
});
