// spawn: what the child starts with, and what happens when it can't start.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { native } from '../../../native/index.ts';
import { assertNoFdLeak, exitOf, run, runNode, spawn, systemError, zombies } from './fixture.ts';

describe('native spawn', () => {
  let folder = '';
  before(() => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'berth-spawn-')));
  });
  after(() => rmSync(folder, { recursive: true }));

  it('gives the child exactly the arguments and environment named', async () => {
    const args = ['', 'two words', 'ünïcode ✓', '-n', "it's"];
    const script = 'printf "%s|" "$0" "$@"; tr "\\0" "|" < /proc/$$/environ';
    const { stdout } = await run('/bin/sh', [], {
      args: ['argv-zero', '-c', script, 'zero', ...args],
      env: ['A=1', 'B=x=y', 'A=2'],
    });
    assert.equal(stdout, `zero|${args.map((arg) => `${arg}|`).join('')}A=1|B=x=y|A=2|`);
  });

  it('starts in the working directory named', async () => {
    const { stdout } = await run('/bin/pwd', [], { cwd: folder });
    assert.equal(stdout, `${folder}\n`);
  });

  it('starts with default signal dispositions and an empty mask, though Node ignores SIGPIPE', async () => {
    const { stdout } = await run('/bin/grep', ['-E', '^Sig(Blk|Ign):', '/proc/self/status']);
    assert.match(stdout, /SigBlk:\s*0{16}\nSigIgn:\s*0{16}\n/);
  });

  it('starts a session of its own only when asked to', async () => {
    const session = ['-c', 'cut -d" " -f1,6 /proc/self/stat; exec cut -d" " -f1,6 /proc/self/stat'];
    const own = await run('/bin/sh', ['-c', 'exec cut -d" " -f1,6 /proc/self/stat'], { newSession: true });
    const [pid, sid] = own.stdout.trim().split(' ');
    assert.equal(sid, pid);
    const shared = await run('/bin/sh', session);
    assert.ok(shared.stdout.split('\n').every((line) => line === '' || line.split(' ')[0] !== line.split(' ')[1]));
  });

  it('gives a pidfd for the very process whose pid it gives', async () => {
    const child = spawn('/bin/sleep', ['60']);
    native().pidfdSendSignal(child.pidfd, 9);
    const exit = await exitOf(child);
    assert.deepEqual(exit, { pid: child.pid, signal: 9, coreDumped: false });
  });

  const failures = [
    { title: 'a program that is not there', file: '/no/such/program', code: 'ENOENT' },
    { title: 'a directory as the program', file: '/tmp', code: 'EACCES' },
    { title: 'a file that may not be executed', file: '/etc/passwd', code: 'EACCES' },
  ];
  for (const { title, file, code } of failures) {
    it(`throws ${code} of the exec itself for ${title}`, () => {
      assert.throws(() => spawn(file), systemError(code, 'spawn', file));
    });
  }

  it('throws ENOEXEC for a file that is no program', () => {
    const file = join(folder, 'empty');
    writeFileSync(file, 'not a program', { mode: 0o755 });
    assert.throws(() => spawn(file), systemError('ENOEXEC', 'spawn', file));
  });

  it('names the working directory, not the program, when the directory is the fault', () => {
    const cwd = join(folder, 'missing');
    assert.throws(() => spawn('/bin/true', [], { cwd }), systemError('ENOENT', 'chdir', cwd));
    assert.throws(() => spawn('/bin/true', [], { cwd: '/bin/true' }), systemError('ENOTDIR', 'chdir', '/bin/true'));
  });

  it('throws E2BIG when the arguments are more than the kernel takes', () => {
    assert.throws(() => spawn('/bin/true', ['x'.repeat(3 << 20)]), systemError('E2BIG', 'spawn', '/bin/true'));
  });

  it('gives the child the score named, or 0, and never its own', async () => {
    const own = readFileSync('/proc/self/oom_score_adj', 'utf8');
    writeFileSync('/proc/self/oom_score_adj', '321');
    try {
      const score = async (more: { oomScoreAdj?: number }) => (await run('/bin/cat', ['/proc/self/oom_score_adj'], more)).stdout;
      assert.deepEqual([await score({}), await score({ oomScoreAdj: 500 })], ['0\n', '500\n']);
      assert.equal(readFileSync('/proc/self/oom_score_adj', 'utf8'), '321\n', 'the own one is as it was');
      for (const oomScoreAdj of [1001, -1001, 0.5]) assert.throws(() => spawn('/bin/true', [], { oomScoreAdj }), /oomScoreAdj/);
    } finally {
      writeFileSync('/proc/self/oom_score_adj', own);
    }
  });

  it('leaves no zombie and no fd behind when it fails', async () => {
    mkdirSync(join(folder, 'cwd'));
    await assertNoFdLeak(50, () => {
      assert.throws(() => spawn('/no/such/program', [], { cwd: join(folder, 'cwd'), fds: [0, 1, 2, 2, 1, 0] }));
      assert.throws(() => spawn('/bin/true', [], { fds: [0, 1, 99999] }), systemError('EBADF', 'dup2', 'fds[2]'));
    });
    assert.deepEqual(zombies(), []);
  });

  it('leaves no fd behind after a child that ran', async () => {
    await assertNoFdLeak(50, async () => {
      const { exit } = await run('/bin/true', [], { cwd: '/' });
      assert.equal(exit.code, 0);
    });
  });

  it('starts nothing when there is no room for the pidfd', async () => {
    const marker = join(folder, 'ran');
    const script = `
      const fds = [];
      try { for (;;) fds.push(...addon.pipe()); } catch (error) { if (error.code !== 'EMFILE') throw error; }
      try { addon.spawn({ file: '/usr/bin/touch', args: ['touch', ${JSON.stringify(marker)}], env: [], fds: [] }); } catch (error) {
        addon.close(fds.pop());
        process.stdout.write(error.code + ' ' + error.syscall);
      }`;
    const { stdout } = await runNode(script, 'ulimit -n 64; exec');
    assert.equal(stdout, 'EMFILE pidfd_open');
    const { exit } = await run('/usr/bin/test', ['-e', marker]);
    assert.equal(exit.code, 1, 'the program did not run');
  });
});
