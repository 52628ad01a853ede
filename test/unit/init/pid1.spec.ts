// berth-init as PID 1, in namespaces of its own: an unprivileged user namespace, so that nothing of the machine's changes.
// What needs a machine (devtmpfs, modules, the root file system) is seen by each guest that boots.
import assert from 'node:assert/strict';
import { chmod, copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { buildInit } from '../../../scripts/build-init.ts';

const UNSHARE = ['--user', '--map-root-user', '--pid', '--fork', '--mount', '--uts', '--net', '--ipc', '--cgroup'];
const NOBODY = 65534;
const asNobody = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};

describe('berth-init as PID 1', function () {
  this.timeout(60_000);
  let root: string;

  before(async function () {
    const allowed = await execa('unshare', [...UNSHARE, 'true'], { ...asNobody, reject: false });
    if (allowed.failed) {
      console.log(`      this machine gives no user namespaces: ${allowed.stderr}`);
      this.skip();
    }
    root = await mkdtemp(join(tmpdir(), 'berth-pid1-test-'));
    for (const name of ['proc', 'sys', 'dev', 'run', 'tmp', 'etc', 'sbin', 'usr/lib/berth'])
      await mkdir(join(root, name), { recursive: true });
    for (const name of ['dev', '']) await chmod(join(root, name), 0o777);
    await copyFile(await buildInit(), join(root, 'sbin/init'));
    const agent = join(import.meta.dirname, 'pid1-agent.c');
    await execa('gcc', ['-std=gnu11', '-static', '-Wall', '-Wextra', '-Werror', '-o', join(root, 'usr/lib/berth/node'), agent]);
    await writeFile(join(root, 'etc/hostname'), '  guest-7 ignored\n');
  });
  after(async () => {
    if (root !== undefined) await rm(root, { recursive: true });
  });

  /** Boots; each word is what one agent generation does. */
  async function boot(script: string): Promise<{ lines: string[]; signal: string | undefined; tookMs: number }> {
    await writeFile(join(root, 'script'), script);
    const started = performance.now();
    const result = await execa('unshare', [...UNSHARE, '--root', root, '/sbin/init', 'ignored', '--bogus'], {
      ...asNobody,
      all: true,
      reject: false,
      timeout: 50_000,
    });
    return { lines: result.all.split('\n'), signal: result.signal, tookMs: performance.now() - started };
  }

  const below = (lines: string[], key: string) =>
    lines.filter((line) => line.startsWith(`${key}: `)).map((line) => line.slice(key.length + 2));

  it('mounts, names the host, brings up lo and gives the agent its fixed arguments and environment', async () => {
    const { lines, signal } = await boot('report power-off');
    const berth = '/usr/lib/berth';
    assert.deepEqual(below(lines, 'argv'), [
      'kata-agent',
      '--max-semi-space-size=1',
      '--max-old-space-size=64',
      '--v8-pool-size=1',
      `${berth}/main.js`,
    ]);
    const environment = below(lines, 'env');
    const uptime = environment.find((word) => word.startsWith('BERTH_INIT_UPTIME_MS='));
    assert.match(uptime!, /=\d+$/);
    assert.deepEqual(environment, [
      'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      'HOME=/root',
      `NODE_COMPILE_CACHE=${berth}/cache`,
      'UV_THREADPOOL_SIZE=16',
      'UV_USE_IO_URING=0',
      'BERTH_KEEPER_FD=3',
      uptime,
      'BERTH_GENERATION=1',
    ]);
    assert.deepEqual(
      [below(lines, 'hostname'), below(lines, 'lo up'), below(lines, 'pid 1 is parent')],
      [['guest-7'], ['1'], ['1']],
    );
    const mounts = new Map(below(lines, '/proc/mounts').map((line) => [line.split(' ')[1], line.split(' ')]));
    const wanted: [string, string, string[]][] = [
      ['/proc', 'proc', ['nosuid', 'nodev', 'noexec']],
      ['/sys', 'sysfs', ['nosuid', 'nodev', 'noexec']],
      ['/dev/shm', 'tmpfs', ['nosuid', 'nodev']],
      ['/run', 'tmpfs', ['nosuid', 'nodev', 'mode=755']],
      ['/tmp', 'tmpfs', ['nosuid', 'nodev']],
      ['/sys/fs/cgroup', 'cgroup2', ['nosuid', 'nodev', 'noexec', 'relatime']],
    ];
    for (const [target, type, flags] of wanted) {
      const [, , fstype, options] = mounts.get(target) ?? [];
      assert.equal(fstype, type, target);
      assert.deepEqual(
        flags.filter((flag) => !options!.split(',').includes(flag)),
        [],
        target,
      );
    }
    assert.equal(signal, 'SIGINT', 'a namespace whose PID 1 powers off ends by SIGINT (man 2 reboot)');
  });

  it('starts the agent again when it exits, even with 0, until it asks for power-off', async () => {
    const { lines, signal } = await boot('exit exit power-off');
    assert.deepEqual(
      lines.filter((line) => line.startsWith('generation')),
      ['generation 1: exit', 'generation 2: exit', 'generation 3: power-off'],
    );
    assert.ok(lines.includes('berth-init: power off'));
    assert.equal(signal, 'SIGINT');
  });

  it('restarts the machine when it is asked to', async () => {
    const { lines, signal } = await boot('restart');
    assert.ok(lines.includes('berth-init: restart'));
    assert.equal(signal, 'SIGHUP', 'a namespace whose PID 1 restarts ends by SIGHUP (man 2 reboot)');
  });

  it('ends the agent, then every process, and powers off on SIGPWR, and ignores SIGHUP', async () => {
    const { lines, signal, tookMs } = await boot('orphan signal');
    assert.ok(lines.includes('orphan ready'));
    // The agent and init write to pipes of their own, so which of their lines is read first says nothing.
    for (const line of ['berth-init: signal 30: stopping', 'agent got TERM']) assert.ok(lines.includes(line), line);
    assert.equal(lines.at(-1), 'berth-init: power off');
    assert.equal(signal, 'SIGINT');
    assert.ok(tookMs > 1900 && tookMs < 20_000, `the stubborn orphan is given 2 s, it took ${tookMs} ms`);
  });

  it('gives up on an agent that keeps dying, says so and powers off', async () => {
    const { lines, signal } = await boot('');
    assert.ok(lines.some((line) => /^berth-init: agent generation 10 exited with 1; 10 deaths in a row, giving up$/.test(line)));
    assert.equal(signal, 'SIGINT');
  });
});
