import assert from 'node:assert/strict';
import { berth, PipedBerth, until } from '../../../support/berth-cli.ts';
import { type ServedSandbox, serveSandbox } from '../../../support/fake-sandbox.ts';

describe('berth', () => {
  let agent: ServedSandbox;
  let address: string[];

  before(async () => {
    agent = await serveSandbox();
    address = ['--address', agent.address];
  });

  after(async () => {
    await agent.close();
  });

  beforeEach(() => agent.sandbox.reset());

  const start = async (name: string, ...command: string[]) => {
    const { status, stderr } = await berth(['run', '-d', '--name', name, ...address, '--rootfs', 'blk:/dev/vdb', ...command]);
    assert.equal(status, 0, stderr);
  };

  it('lists its verbs, and shows the options of each', async () => {
    const { stdout, status } = await berth(['--help']);
    assert.equal(status, 0);
    for (const verb of [
      'run',
      'exec',
      'attach',
      'logs',
      'wait',
      'ps',
      'kill',
      'stats',
      'rm',
      'events',
      'top',
      'port-forward',
      'agent upgrade',
      'vm start',
      'vm stop',
      'vm ls',
    ]) {
      assert.ok(stdout.includes(`\n  ${verb} `), verb);
      const help = await berth([...verb.split(' '), '--help']);
      assert.deepEqual([help.status, help.stderr], [0, '']);
      assert.ok(help.stdout.startsWith(`Usage: berth ${verb} `), help.stdout);
    }
    assert.ok(!stdout.includes('reap'));
  });

  it('refuses a verb that it does not have', async () => {
    const { stderr, status } = await berth(['toString']);
    assert.deepEqual([stderr, status], ["berth: 'toString' is not a berth verb; `berth --help` lists them\n", 125]);
  });

  it('exec runs a command in a running container with its own streams and status', async () => {
    await start('one', 'sleep', '30');
    const done = await berth(['exec', '-i', ...address, 'one', 'sh', '-c', 'cat; echo err >&2; exit 6'], { input: 'in' });
    assert.deepEqual(done, { stdout: 'in', stderr: 'err\n', status: 6 });
  });

  it('exec says which container is not there, and which command', async () => {
    await start('one', 'sleep', '30');
    const missing = await berth(['exec', ...address, 'other', 'true']);
    assert.equal(missing.status, 125);
    assert.match(missing.stderr, /^berth: .*`other` not found \(`berth ps -a` lists the containers\)\n$/);
    assert.equal((await berth(['exec', ...address, 'one', 'nope'])).status, 127);
  });

  it('exec passes signals on to its process, not to the container', async () => {
    await start('one', 'sleep', '30');
    const running = new PipedBerth([
      'exec',
      ...address,
      'one',
      'sh',
      '-c',
      'trap "exit 8" INT; echo ready; while :; do sleep 0.05; done',
    ]);
    await running.printed('ready');
    running.child.kill('SIGINT');
    assert.equal((await running.finished()).status, 8);
    assert.equal(agent.sandbox.find('one')?.exitStatus, undefined);
  });

  it('exec -d returns at once and nothing stands still before a full pipe', async () => {
    await start('one', 'sleep', '30');
    const done = await berth(['exec', '-d', '--name', 'zeros', ...address, 'one', 'head', '-c', '3000000', '/dev/zero']);
    assert.deepEqual(done, { stdout: 'one/zeros\n', stderr: '', status: 0 });
    assert.deepEqual(await berth(['wait', ...address, 'one/zeros']), { stdout: '0\n', stderr: '', status: 0 });
  });

  it('ps shows what runs, and with -a what has ended', async () => {
    await start('one', 'sleep', '30');
    await berth(['run', '--name', 'two', ...address, '--rootfs', 'blk:/dev/vdb', 'sh', '-c', 'exit 3']);
    assert.equal((await berth(['ps', '-q', ...address])).stdout, 'one\n');
    const { stdout } = await berth(['ps', '-a', ...address]);
    assert.match(
      stdout,
      /^CONTAINER +COMMAND +CREATED +STATUS +PID\none +sleep 30 +\d+ seconds ago +Up .* \d+\ntwo +sh -c "exit 3" .*Exited \(3\)/,
    );
    const containers = JSON.parse((await berth(['ps', '-a', '--json', ...address])).stdout);
    assert.deepEqual(
      containers.map(({ id, state, exitStatus }: Record<string, unknown>) => [id, state, exitStatus]),
      [
        ['one', 'running', undefined],
        ['two', 'stopped', 3],
      ],
    );
  });

  it('kill sends KILL, or the signal named, and goes on after one that is not there', async () => {
    await start('one', 'sleep', '30');
    await start('two', 'sleep', '30');
    const { stdout, stderr, status } = await berth(['kill', '-s', 'TERM', ...address, 'none', 'one']);
    assert.deepEqual([stdout, status], ['one\n', 125]);
    assert.match(stderr, /`none` not found/);
    await until(
      () => agent.sandbox.find('one')?.exitStatus === 143,
      () => 'the end by TERM',
    );
    await berth(['kill', ...address, 'two']);
    await until(
      () => agent.sandbox.find('two')?.exitStatus === 137,
      () => 'the end by KILL',
    );
    assert.match((await berth(['kill', ...address, 'two'])).stderr, /container two is not running/);
    assert.match((await berth(['kill', '-s', 'NOPE', ...address, 'two'])).stderr, /invalid signal 'NOPE'/);
  });

  it('rm removes what has ended, and with -f what runs', async () => {
    await start('one', 'sleep', '30');
    const refused = await berth(['rm', ...address, 'one']);
    assert.equal(refused.status, 125);
    assert.match(refused.stderr, /container one is running: `berth kill` it first, or use rm -f/);
    assert.deepEqual(await berth(['rm', '-f', ...address, 'one', 'none']), { stdout: 'one\n', stderr: '', status: 0 });
    assert.equal(agent.sandbox.ids.length, 0);
  });

  it('stats shows what containers use', async () => {
    await start('one', 'sleep', '30');
    const { stdout } = await berth(['stats', '--no-stream', ...address]);
    assert.match(stdout, /^CONTAINER +CPU %.*\none +0\.00% +1\.00MiB \/ 2\.00MiB +50\.00% .* 2\n$/);
    const [usage] = JSON.parse((await berth(['stats', '--json', ...address, 'one'])).stdout);
    assert.deepEqual([usage.id, usage.memoryBytes, usage.pids], ['one', 1048576, 2]);
  });

  it('ends quietly when nobody reads a listing', async () => {
    const listing = new PipedBerth(['--help']);
    listing.child.stdout!.destroy();
    const { stderr } = await listing.finished();
    assert.equal(stderr, '');
  });
});
