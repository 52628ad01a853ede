import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { berth, PipedBerth, until } from '../../../support/berth-cli.ts';
import { type ServedSandbox, serveSandbox } from '../../../support/fake-sandbox.ts';

describe('berth run, on pipes', () => {
  let agent: ServedSandbox;

  before(async () => {
    agent = await serveSandbox();
  });

  after(async () => {
    await agent.close();
  });

  beforeEach(() => agent.sandbox.reset());

  const run = (...args: string[]) => ['run', '--address', agent.address, '--rootfs', 'blk:/dev/vdb', ...args];

  it('keeps stdout and stderr apart and ends with the status of the process', async () => {
    const done = await berth(run('sh', '-c', 'echo out; echo err >&2; exit 3'));
    assert.deepEqual(done, { stdout: 'out\n', stderr: 'err\n', status: 3 });
  });

  it('gives the process an empty stdin without -i, and leaves ours alone', async () => {
    assert.deepEqual(await berth(run('sh', '-c', 'cat; echo end')), { stdout: 'end\n', stderr: '', status: 0 });
  });

  it('passes stdin on to its end with -i, every byte', async () => {
    const input = randomBytes(300_000);
    const { stdout, status } = await berth(run('-i', 'cat'), { input });
    const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
    assert.deepEqual([status, digest(Buffer.from(stdout, 'latin1'))], [0, digest(input)]);
  });

  it('ends when the process does, though our stdin stays open', async () => {
    const { status } = await berth(run('-i', 'sh', '-c', 'exit 4'));
    assert.equal(status, 4);
  });

  it('ends when the process closes its stdin while we still write', async () => {
    const { stdout, status } = await berth(run('-i', 'head', '-c', '3'), { input: 'x'.repeat(1_000_000) });
    assert.deepEqual([stdout, status], ['xxx', 0]);
  });

  it('loses no byte of a large output', async () => {
    const { stdout, status } = await berth(run('sh', '-c', 'head -c 5000000 /dev/zero | tr "\\0" x; exit 9'));
    assert.deepEqual([stdout.length, status], [5_000_000, 9]);
  });

  it('is 137 for a process that KILL ended', async () => {
    assert.equal((await berth(run('sh', '-c', 'kill -9 $$'))).status, 137);
  });

  const refusals: [string, string[], number, RegExp][] = [
    ['127 for a command that is not there', ['nope'], 127, /^berth: .*`nope` not found/],
    ['126 for a command that cannot be run', ['/etc/passwd'], 126, /^berth: .*Permission denied/],
    [
      '125 for an unknown option',
      ['--nope', 'true'],
      125,
      /^berth run: unknown option '--nope'; `berth run --help` lists the options\n$/,
    ],
    ['125 for a bad limit', ['--memory', 'lots', 'true'], 125, /^berth: invalid --memory 'lots'/],
    ['125 for a bad name', ['--name', '../x', 'true'], 125, /^berth: invalid container name '\.\.\/x'/],
    [
      '125 for a name that the agent finds too short',
      ['--name', 'x', 'true'],
      125,
      /^berth: invalid container name 'x': 2 to 128/,
    ],
    ['125 for -t with -i without a terminal', ['-it', 'true'], 125, /^berth: stdin is not a terminal/],
    ['125 for a relative working directory', ['-w', 'tmp', 'true'], 125, /^berth: invalid --workdir/],
    ['125 for a user name that cannot be looked up', ['-u', 'www', 'true'], 125, /^berth: invalid user 'www': .*give numbers/],
  ];
  for (const [what, args, status, line] of refusals) {
    it(`is ${what}, says so in one line, and leaves no container`, async () => {
      const done = await berth(run(...args));
      assert.equal(done.status, status, done.stderr);
      assert.match(done.stderr, line);
      assert.equal(done.stderr.trimEnd().split('\n').length, 1);
      assert.equal(agent.sandbox.ids.length, 0);
    });
  }

  it('is 125 where no agent answers, and says where', async () => {
    const { status, stderr } = await berth(['run', '--address', 'unix:///nonexistent/agent.sock', 'true']);
    assert.equal(status, 125);
    assert.match(stderr, /^berth: no agent answers at unix:\/\/\/nonexistent\/agent\.sock: .*ENOENT/);
  });

  it('keeps the container, and removes it with --rm', async () => {
    await berth(run('--name', 'kept', 'true'));
    await berth(run('--name', 'gone', '--rm', 'true'));
    assert.deepEqual(agent.sandbox.ids, ['kept']);
  });

  it('sends what the options ask for', async () => {
    const options = [
      '-m',
      '64m',
      '--cpus',
      '0.5',
      '-u',
      '7:8',
      '-w',
      '/tmp',
      '-e',
      'A=b',
      '-e',
      'FROM_HERE',
      '--read-only',
      '--cap-drop',
      'ALL',
    ];
    await berth(run('--name', 'spec', ...options, '--entrypoint', 'env', '--', '-i', 'true'), { env: { FROM_HERE: 'x y' } });
    const spec = agent.sandbox.find('spec')!.spec;
    assert.deepEqual(spec.process.args, ['env', '-i', 'true']);
    assert.deepEqual([spec.process.user.uid, spec.process.user.gid, spec.process.cwd], [7, 8, '/tmp']);
    assert.ok(spec.process.env.includes('A=b') && spec.process.env.includes('FROM_HERE=x y'));
    assert.deepEqual(spec.process.capabilities?.bounding, []);
    assert.deepEqual([spec.linux?.resources?.memory?.limit, spec.linux?.resources?.cpu?.quota], [64n << 20n, 50_000n]);
    assert.equal(spec.root.readonly, true);
    assert.deepEqual(
      agent.sandbox.find('spec')!.options.storages.map(({ driver }) => driver),
      ['blk', 'overlayfs'],
    );
  });

  it('passes signals on to the process', async () => {
    const running = new PipedBerth(run('sh', '-c', 'trap "echo got it; exit 7" TERM; echo ready; while :; do sleep 0.05; done'));
    await running.printed('ready');
    running.child.kill('SIGTERM');
    const { stdout, status } = await running.finished();
    assert.deepEqual([stdout, status], ['ready\ngot it\n', 7]);
  });

  it('gives up on a process that ignores it at the third INT', async () => {
    const running = new PipedBerth(run('--name', 'deaf', 'sh', '-c', 'trap "" INT; echo ready; sleep 30'));
    await running.printed('ready');
    for (let count = 0; count < 3; count += 1) {
      running.child.kill('SIGINT');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.equal((await running.finished()).status, 130);
  });

  it('dies alone of a signal with --sig-proxy=false', async () => {
    const running = new PipedBerth(run('--name', 'left', '--sig-proxy=false', 'sh', '-c', 'echo ready; sleep 30'));
    await running.printed('ready');
    running.child.kill('SIGTERM');
    assert.equal((await running.finished()).status, 143);
    assert.deepEqual(agent.sandbox.find('left')?.signals, []);
  });

  it('leaves nothing behind when a signal comes before the process runs', async () => {
    agent.sandbox.createDelayMs = 500;
    const running = new PipedBerth(run('--name', 'early', 'sleep', '30'));
    await until(
      () => agent.sandbox.calls.includes('create early'),
      () => 'CreateContainer',
    );
    running.child.kill('SIGINT');
    assert.equal((await running.finished()).status, 130);
    assert.deepEqual(agent.sandbox.calls, ['create early', 'remove early']);
  });

  it('ends quietly with 141 when nobody reads its output any more, and ends the process', async () => {
    const running = new PipedBerth(run('--rm', 'yes'));
    await running.printed('y\n');
    running.child.stdout!.destroy();
    const { stderr, status } = await running.finished();
    assert.deepEqual([stderr, status], ['', 141]);
    assert.equal(agent.sandbox.ids.length, 0);
  });

  it('with -d prints the name, returns at once, and nothing stands still before a full pipe', async () => {
    const { stdout, status } = await berth(run('-d', '--name', 'back', 'sh', '-c', 'head -c 3000000 /dev/zero; exit 5'));
    assert.deepEqual([stdout, status], ['back\n', 0]);
    await until(
      () => agent.sandbox.find('back')?.exitStatus === 5,
      () => 'the end of a process that fills every buffer',
    );
  });

  it('with -d --rm removes the container at its end', async () => {
    await berth(run('-d', '--rm', '--name', 'brief', 'sleep', '0.2'));
    await until(
      () => agent.sandbox.ids.length === 0,
      () => 'the removal',
    );
  });
});
