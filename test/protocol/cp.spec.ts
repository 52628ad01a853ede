// `berth cp` as it is typed, against the real agent on this machine.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmod, link, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { AgentFiles } from '../support/agent-files.ts';
import { type Finished, PipedBerth } from '../support/berth-cli.ts';

describe('berth cp', function () {
  this.timeout(60_000);
  const files = AgentFiles.forTests();

  function cp(args: readonly string[], input?: string): Promise<Finished> {
    return new PipedBerth(['cp', '--address', files.address, ...args], input === undefined ? {} : { input }).finished();
  }
  async function copied(args: readonly string[], input?: string): Promise<string> {
    const { status, stdout, stderr } = await cp(args, input);
    assert.deepEqual([stderr, status], ['', 0]);
    return stdout;
  }

  it('copies a file in and out, its permissions with it, set-id bits left out', async () => {
    await writeFile(files.at('script'), 'echo hi\n');
    await chmod(files.at('script'), 0o4751);
    await copied([files.at('script'), `:${files.at('in')}`]);
    assert.equal((await stat(files.at('in'))).mode & 0o7777, 0o751);
    await mkdir(files.at('directory'));
    await copied([`:${files.at('in')}`, files.at('directory')]);
    assert.equal(await readFile(files.at('directory/in'), 'utf8'), 'echo hi\n');
    assert.equal((await stat(files.at('directory/in'))).mode & 0o7777, 0o751);
    await copied([files.at('script'), `:${files.at('directory')}`]);
    assert.deepEqual((await readdir(files.at('directory'))).sort(), ['in', 'script']);
    await copied(['-p', files.at('script'), `:${files.at('new/deep/script')}`]);
  });

  it('copies a directory in and out, links as links', async () => {
    await mkdir(files.at('tree/sub'), { recursive: true });
    await writeFile(files.at('tree/file'), 'x'.repeat(300_000));
    await link(files.at('tree/file'), files.at('tree/hard'));
    await symlink('../file', files.at('tree/sub/link'));
    await copied([files.at('tree'), `:${files.at('in')}`]);
    execFileSync('diff', ['-r', '--no-dereference', files.at('tree'), files.at('in')]);
    await mkdir(files.at('out'));
    await copied([`:${files.at('in')}`, files.at('out')]);
    execFileSync('diff', ['-r', '--no-dereference', files.at('tree'), files.at('out/in')]);
  });

  it('takes stdin and gives stdout: a file as it is, a directory as a tar archive', async () => {
    await copied(['-', `:${files.at('file')}`], 'from stdin');
    assert.equal(await copied([`:${files.at('file')}`, '-']), 'from stdin');
    const archive = await copied([`:${files.folder}`, '-']);
    await writeFile(files.at('tree.tar'), archive, 'latin1');
    assert.equal(execFileSync('tar', ['-tf', files.at('tree.tar')]).toString(), './\n./file\n');
  });

  it('says in one line what is wrong', async () => {
    for (const [args, wanted] of [
      [['one'], /give a source and a destination/],
      [['/here', '/there'], /one of source and destination must be CONTAINER/],
      [['a:/x', ':/y'], /must be on this machine/],
      [['nobody:/x', '-'], /container nobody not found/],
      [[':/none/at/all', '-'], /\/none\/at\/all.*ENOENT/],
      [[':/dev/null', '-'], /neither a file nor a directory/],
    ] as const) {
      const { status, stdout, stderr } = await cp(args);
      assert.equal(status, 125);
      assert.match(stderr, wanted);
      assert.deepEqual([stdout, stderr.trimEnd().split('\n').length], ['', 1]);
    }
  });
});
