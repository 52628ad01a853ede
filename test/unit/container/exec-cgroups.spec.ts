// Names of the cgroups below a container's, in directories that stand for them.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Cgroup } from '../../../agent/container/cgroup.ts';
import { ExecCgroups } from '../../../agent/container/exec-cgroups.ts';
import { parseStatus } from '../../../agent/container/process-status.ts';

describe('the cgroups of what is added to a container', () => {
  let root: string;

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'berth-exec-cgroups-'));
    await mkdir(join(root, 'c'));
  });
  afterEach(() => rm(root, { recursive: true }));

  const file = (name: string, text: string) => writeFile(join(root, 'c', name), text);
  const cgroups = () => new ExecCgroups(new Cgroup('/c', { root }));

  it('have names of their own, and leave alone what the container has made', async () => {
    await mkdir(join(root, 'c/exec-1'));
    const made = cgroups();
    assert.deepEqual([(await made.make()).name, (await made.make()).name], ['/exec-0', '/exec-2']);
  });

  it('are not made for what does not need one, until controllers are handed down', async () => {
    await file('cgroup.controllers', 'cpu memory pids\n');
    await file('cgroup.subtree_control', '');
    const made = cgroups();
    assert.equal(await made.ifNeeded(), undefined);
    await made.make();
    assert.equal(await readFile(join(root, 'c/cgroup.subtree_control'), 'utf8'), '+memory');
    assert.equal((await made.ifNeeded())!.name, '/exec-1');
  });

  it('have no figures of memory where the controller is not there, and are made all the same', async () => {
    await file('cgroup.controllers', 'pids\n');
    const made = cgroups();
    assert.equal((await made.make()).name, '/exec-0');
    assert.equal(await made.ifNeeded(), undefined);
  });

  it('go when nothing lives in them', async () => {
    const made = await cgroups().make();
    assert.equal(await made.release(), true);
    assert.deepEqual(await readdir(join(root, 'c')), []);
  });
});

describe('the status of a process', () => {
  it('is read from /proc, with no memory for a zombie', () => {
    const text = 'Name:\ta b\nState:\tS (sleeping)\nPPid:\t7\nVmRSS:\t     12 kB\n';
    assert.deepEqual(parseStatus(9, text), { pid: 9, parentPid: 7, command: 'a b', state: 'S', residentBytes: 12288n });
    assert.equal(parseStatus(9, 'Name:\tx\nState:\tZ (zombie)\nPPid:\t7\n').residentBytes, 0n);
  });
});
