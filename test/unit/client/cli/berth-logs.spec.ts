// What is read of a process after it was left to itself: logs, wait, events.
import assert from 'node:assert/strict';
import { berth, PipedBerth } from '../../../support/berth-cli.ts';
import { type ServedSandbox, serveSandbox } from '../../../support/fake-sandbox.ts';

describe('berth, of what runs by itself', () => {
  let agent: ServedSandbox;
  let address: string[];

  before(async () => {
    agent = await serveSandbox();
    address = ['--address', agent.address];
  });
  after(() => agent.close());
  beforeEach(() => agent.sandbox.reset());

  const start = async (name: string, script: string, ...options: string[]) => {
    const args = ['run', '-d', '--name', name, ...options, ...address, '--rootfs', 'blk:/dev/vdb', 'sh', '-c', script];
    assert.deepEqual(await berth(args), { stdout: `${name}\n`, stderr: '', status: 0 });
  };
  const ended = (name: string) => agent.sandbox.find(name)!.init.exited;

  it('logs gives what was written, each stream where it belongs, again and again and after the end', async () => {
    await start('one', 'echo out; echo err >&2; echo more; exit 4');
    await ended('one');
    for (let times = 0; times < 2; times++) {
      assert.deepEqual(await berth(['logs', ...address, 'one']), { stdout: 'out\nmore\n', stderr: 'err\n', status: 0 });
    }
    assert.deepEqual(await berth(['logs', '-f', '--stream', 'stderr', ...address, 'one']), {
      stdout: '',
      stderr: 'err\n',
      status: 0,
    });
    assert.equal((await berth(['logs', '-n', '1', ...address, 'one'])).stdout, 'more\n');
    assert.equal((await berth(['logs', '--since-offset', '4', ...address, 'one'])).stdout, 'more\n');
    const beyond = await berth(['logs', '--since-offset', '100', ...address, 'one']);
    assert.equal(beyond.status, 125);
    assert.match(beyond.stderr, /^berth: .*offset 100 is beyond the stream's end at 9/);
  });

  it('logs ends at what is there, while the process goes on', async () => {
    await start('one', 'echo first; sleep 30');
    const following = new PipedBerth(['logs', '-f', ...address, 'one']);
    await following.printed('first\n');
    following.child.kill();
    assert.equal((await following.finished()).status, 143);
    assert.deepEqual(await berth(['logs', ...address, 'one']), { stdout: 'first\n', stderr: '', status: 0 });
  });

  it('logs -f goes on to the end over connections that are lost, each byte once', async () => {
    await start('one', 'for i in $(seq 1 300); do echo line $i; [ $((i % 30)) = 0 ] && sleep 0.1; done; echo end');
    const following = new PipedBerth(['logs', '-f', ...address, 'one']);
    for (const line of ['line 30\n', 'line 120\n', 'line 210\n']) {
      await following.printed(line);
      agent.dropConnections();
    }
    const { stdout, stderr, status } = await following.finished();
    const expected = `${Array.from({ length: 300 }, (_, at) => `line ${at + 1}\n`).join('')}end\n`;
    assert.deepEqual([stdout === expected, stderr, status], [true, '', 0]);
  });

  it('logs of a full log begins with the oldest byte that is kept, and says so only where others were asked for', async () => {
    await start('one', 'head -c 1000000 /dev/zero | tr "\\0" x; echo; echo end');
    await ended('one');
    const { stdout, stderr } = await berth(['logs', ...address, 'one']);
    assert.deepEqual([stdout.length, stdout.endsWith('x\nend\n'), stderr], [512 * 1024, true, '']);
    const asked = await berth(['logs', '--since-offset', '0', ...address, 'one']);
    assert.equal(asked.stdout.length, 512 * 1024);
    assert.equal(
      asked.stderr,
      `berth: ${1_000_005 - 512 * 1024} bytes of output are not kept any more (0 to ${1_000_005 - 512 * 1024})\n`,
    );
  });

  it('logs --json tells offsets to go on from, and the end', async () => {
    await start('one', 'printf "a\\377"; echo err >&2');
    await ended('one');
    const { stdout } = await berth(['logs', '-f', '--json', ...address, 'one']);
    const rows = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { stream: string });
    assert.deepEqual(
      rows.filter(({ stream }) => stream === 'stdout'),
      [
        { stream: 'stdout', offset: 0, base64: 'Yf8=', next: 2 },
        { stream: 'stdout', end: { closed: true }, next: 2 },
      ],
    );
    assert.deepEqual(
      rows.find(({ stream }) => stream === 'stderr'),
      { stream: 'stderr', offset: 0, text: 'err\n', next: 4 },
    );
  });

  it('logs, wait and attach name what is not there, and what cannot be a name', async () => {
    for (const verb of ['logs', 'wait', 'attach']) {
      const { stderr, status } = await berth([verb, ...address, 'none']);
      assert.deepEqual([stderr, status], ['berth: container `none` not found (`berth ps -a` lists the containers)\n', 125]);
    }
    assert.match((await berth(['logs', ...address, 'a/b/c'])).stderr, /^berth: invalid name 'a\/b\/c': give CONTAINER, /);
    assert.match((await berth(['logs', ...address, '--tail', 'all', 'a'])).stderr, /^berth: invalid --tail 'all'/);
  });

  it('wait prints the status of each in order, and ends with the last', async () => {
    await start('slow', 'sleep 0.3; exit 3');
    await start('quick', 'kill -9 $$');
    assert.deepEqual(await berth(['wait', ...address, 'slow', 'quick']), { stdout: '3\n137\n', stderr: '', status: 137 });
    const { stdout, status } = await berth(['wait', '--json', ...address, 'quick']);
    const { at, ...told } = JSON.parse(stdout);
    assert.equal(status, 137);
    assert.ok(Math.abs(Date.parse(at) - Date.now()) < 60_000);
    assert.deepEqual(told, {
      process: 'quick',
      status: 137,
      kind: 'signalled',
      signal: 9,
      name: 'SIGKILL',
      oomKilled: false,
      coreDumped: false,
    });
    const some = await berth(['wait', ...address, 'none', 'slow']);
    assert.deepEqual([some.stdout, some.status], ['3\n', 125]);
  });

  it('events tells what happens from a number on, filtered, as lines or as JSON', async () => {
    await start('one', 'sleep 30');
    await berth(['exec', ...address, '--name', 'job', 'one', 'sh', '-c', 'exit 7']);
    const { stdout } = await berth(['events', '--no-follow', '-f', 'process.', ...address]);
    assert.match(
      stdout,
      /^\S+Z \d+ process\.started one\/job pid=\d+ client=\S+\(berth\)\n\S+Z \d+ process\.exited one\/job status=7\n/,
    );
    const rows = (await berth(['events', '--no-follow', '--json', '--container', 'one', ...address])).stdout.trim().split('\n');
    const events = rows.map((line) => JSON.parse(line) as { sequence: number; kind: string });
    assert.equal(events[0]?.kind, 'container.created');
    const after = ['events', '--no-follow', '--json', '--since', `${events[0]!.sequence}`, '--container', 'one', ...address];
    const rest = (await berth(after)).stdout.trim().split('\n');
    assert.equal(rest.length, rows.length - 1);
    const live = new PipedBerth(['events', '--since', `${events.at(-1)!.sequence}`, '-f', 'container.deleted', ...address]);
    await berth(['rm', '-f', ...address, 'one']);
    await live.printed(' container.deleted one\n');
    live.child.kill();
  });
});
