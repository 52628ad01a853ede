import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { access, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { openCgroup } from '../../../agent/container/cgroup.ts';
import { parseIo } from '../../../agent/container/cgroup-stats.ts';
import { hasCode } from '../../../agent/errors.ts';

const run = promisify(execFile);

const FILES: Readonly<Record<string, string>> = {
  'cpu.stat':
    'usage_usec 18446744073709551\nuser_usec 2\nsystem_usec 3\nnice_usec 0\nnr_periods 10\nnr_throttled 4\nthrottled_usec 5000\n',
  'memory.current': '4096\n',
  'memory.peak': '8192\n',
  'memory.max': 'max\n',
  'memory.events': 'low 0\nhigh 0\nmax 7\noom 1\noom_kill 1\noom_group_kill 0\n',
  'memory.stat': 'anon 100\nfile 200\nkernel 300\ninactive_file 9007199254740993\n',
  'memory.swap.current': '1\n',
  'memory.swap.peak': '2\n',
  'memory.swap.max': '0\n',
  'memory.swap.events': 'high 0\nmax 5\nfail 6\n',
  'pids.current': '3\n',
  'pids.max': '100\n',
  'io.stat': '254:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n7:0\n',
  'hugetlb.2MB.current': '2097152\n',
  'hugetlb.2MB.events': 'max 2\n',
};

describe('the cgroup of a container', () => {
  let root: string;
  const path = (name: string) => join(root, 'c1', name);

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'berth-cgroup-'));
    await mkdir(join(root, 'c1'));
  });

  afterEach(() => rm(root, { recursive: true, force: true }));

  const write = (files: Readonly<Record<string, string>>) =>
    Promise.all(Object.entries(files).map(([name, text]) => writeFile(path(name), text)));

  it('gives its figures exactly: microseconds as nanoseconds, no limit as none', async () => {
    await write(FILES);
    const stats = await openCgroup('/c1', { root }).stats();
    assert.deepEqual(stats.cpu, {
      totalNs: 18446744073709551000n,
      userNs: 2000n,
      systemNs: 3000n,
      periods: 10n,
      throttledPeriods: 4n,
      throttledNs: 5_000_000n,
    });
    const { stat, ...memory } = stats.memory;
    assert.deepEqual(memory, { current: 4096n, peak: 8192n, limit: undefined, failures: 7n, oomKills: 1n });
    assert.equal(stat.get('inactive_file'), 9007199254740993n);
    assert.deepEqual(stats.swap, { current: 1n, peak: 2n, limit: 0n, failures: 6n });
    assert.deepEqual(stats.pids, { current: 3n, limit: 100n });
    assert.deepEqual([...stats.hugetlb], [['2MB', { current: 2097152n, failures: 2n }]]);
    assert.deepEqual(
      stats.io.map(({ key, value }) => [key, value]),
      [
        ['rbytes', 1n],
        ['wbytes', 2n],
        ['rios', 3n],
        ['wios', 4n],
        ['dbytes', 5n],
        ['dios', 6n],
      ],
    );
  });

  it('gives zeros for controllers that are not enabled', async () => {
    const stats = await openCgroup('/c1', { root }).stats();
    assert.equal(stats.memory.current, 0n);
    assert.equal(stats.memory.limit, undefined);
    assert.equal(stats.cpu.totalNs, 0n);
    assert.deepEqual(stats.io, []);
  });

  it('says not_found when it is gone', async () => {
    await assert.rejects(openCgroup('/none', { root }).stats(), (error) => hasCode(error, 'not_found'));
  });

  it('leaves threads to others when cgroups hang in the kernel, however many', async () => {
    // Opening a pipe that nobody writes to hangs as a stuck cgroup does. libuv has four threads here.
    const stuck = Array.from({ length: 8 }, (_, index) => `stuck-${index}`);
    for (const name of stuck) {
      await mkdir(join(root, name));
      await run('mkfifo', [join(root, name, 'cpu.stat')]);
    }
    const late = stuck.map((name) => openCgroup(`/${name}`, { root, statsTimeoutMs: 50 }).stats());
    try {
      for (const result of await Promise.allSettled(late))
        assert.ok(result.status === 'rejected' && hasCode(result.reason, 'deadline_exceeded'));
      await write({ 'cgroup.events': 'populated 1\n' });
      assert.equal(await readFile(path('cgroup.events'), 'utf8'), 'populated 1\n');
    } finally {
      await Promise.all(stuck.map((name) => run('sh', ['-c', `: > ${join(root, name, 'cpu.stat')}`])));
    }
    // They have gone on by themselves, and let the next ones in.
    await write(FILES);
    assert.equal((await openCgroup('/c1', { root }).stats()).pids.current, 3n);
  });

  it('freezes by writing, and resolves only once the kernel says that all is frozen', async () => {
    await write({ 'cgroup.freeze': '0', 'cgroup.events': 'populated 1\nfrozen 0\n' });
    const freezing = openCgroup('/c1', { root }).freeze();
    let done = false;
    void freezing.then(() => {
      done = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 30));
    assert.equal(done, false);
    assert.equal(await readFile(path('cgroup.freeze'), 'utf8'), '1');
    await writeFile(path('cgroup.events'), 'populated 1\nfrozen 1\n');
    await freezing;
  });

  it('runs on when it cannot be frozen in time', async () => {
    await write({ 'cgroup.freeze': '0', 'cgroup.events': 'populated 1\nfrozen 0\n' });
    await assert.rejects(openCgroup('/c1', { root, freezeTimeoutMs: 20 }).freeze(), (error) =>
      hasCode(error, 'deadline_exceeded'),
    );
    assert.equal(await readFile(path('cgroup.freeze'), 'utf8'), '0');
  });

  it('thaws', async () => {
    await write({ 'cgroup.freeze': '1', 'cgroup.events': 'populated 1\nfrozen 0\n' });
    await openCgroup('/c1', { root }).thaw();
    assert.equal(await readFile(path('cgroup.freeze'), 'utf8'), '0');
  });

  it('kills all by one write, and an absent one without complaint', async () => {
    await write({ 'cgroup.kill': '' });
    await openCgroup('/c1', { root }).killAll();
    assert.equal(await readFile(path('cgroup.kill'), 'utf8'), '1');
    await openCgroup('/none', { root }).killAll();
  });

  it('knows whether anything lives in it', async () => {
    const cgroup = openCgroup('/c1', { root });
    assert.equal(await cgroup.populated(), false);
    await write({ 'cgroup.events': 'populated 1\nfrozen 0\n' });
    assert.equal(await cgroup.populated(), true);
  });

  it('removes itself, what is below, and parents left empty, up to the one to be kept', async () => {
    await mkdir(join(root, 'all/pod/c2/exec/deep'), { recursive: true });
    await mkdir(join(root, 'all/pod/c3'));
    await openCgroup('/all/pod/c2', { root }).remove('/all');
    await access(join(root, 'all/pod/c3'));
    await openCgroup('/all/pod/c3', { root }).remove('/all');
    await assert.rejects(access(join(root, 'all/pod')));
    await access(join(root, 'all'));
    await openCgroup('/all/pod/c3', { root }).remove('/all');
  });
});

describe('io.stat', () => {
  for (const text of ['', '\n', '254:0\n', 'x rbytes=1\n', '254:0 rbytes\n', '254:0 rbytes=\n', '254:0 rbytes=-1\n']) {
    it(`has no figures in ${JSON.stringify(text)}`, () => assert.deepEqual(parseIo(text), []));
  }
});
