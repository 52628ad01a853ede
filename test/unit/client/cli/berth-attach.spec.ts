import assert from 'node:assert/strict';
import { berth, PipedBerth, TerminalBerth } from '../../../support/berth-cli.ts';
import { type ServedSandbox, serveSandbox } from '../../../support/fake-sandbox.ts';

describe('berth attach', () => {
  let agent: ServedSandbox;
  let address: string[];

  before(async () => {
    agent = await serveSandbox();
    address = ['--address', agent.address];
  });
  after(() => agent.close());
  beforeEach(() => agent.sandbox.reset());

  const runArgs = (name: string, ...more: string[]) => ['run', '--name', name, ...address, '--rootfs', 'blk:/dev/vdb', ...more];
  const start = (name: string, ...more: string[]) => berth(runArgs(name, '-d', ...more));
  const terminal = (...args: string[]) => new TerminalBerth(args, { rows: 33, columns: 101 });

  it('feeds a process that was left with its stdin open, and ends with its status', async () => {
    await start('one', '-i', 'sh', '-c', 'echo before; while read line; do echo "[$line]"; done; exit 6');
    const done = await berth(['attach', '--replay', ...address, 'one'], { input: 'a\nb\n' });
    assert.deepEqual(done, { stdout: 'before\n[a]\n[b]\n', stderr: '', status: 6 });
    const late = await berth(['attach', ...address, 'one']);
    assert.deepEqual(
      [late.status, late.stderr],
      [125, 'berth: one has ended: `berth logs one` shows what is kept of its output\n'],
    );
  });

  it('shows what comes from now on to one who watches, and passes signals on', async () => {
    await start('one', 'sh', '-c', 'echo before; trap "echo got it; exit 8" TERM; while :; do echo tick; sleep 0.05; done');
    const watching = new PipedBerth(['attach', ...address, 'one']);
    await watching.printed('tick\n');
    watching.child.kill();
    const { stdout, status } = await watching.finished();
    assert.match(stdout, /^(tick\n)+got it\n$/);
    assert.equal(status, 8);
  });

  it('takes a terminal over where another session has left it, with its size, and can be left again', async () => {
    using first = terminal(
      ...runArgs('one', '-it', 'sh', '-c', 'echo ready; while read line; do echo "[$line]"; stty size; done'),
    );
    const modes = await first.modes();
    await first.shows(/ready/);
    first.type('\x10\x11');
    assert.equal(await first.exited, 0);
    assert.match(first.screen, /\r\nberth: left it running; `berth attach one` goes back\r\n$/);
    assert.equal(await first.modes(), modes);
    assert.equal(agent.sandbox.find('one')?.exitStatus, undefined);
    using second = terminal('attach', '--detach-keys', 'ctrl-],d', ...address, 'one');
    second.resize(20, 70);
    second.type('again\r');
    await second.shows(/again\r\n\[again\]\r\n20 70\r\n/);
    second.type('\x1dd');
    assert.equal(await second.exited, 0);
    assert.equal(agent.sandbox.find('one')?.exitStatus, undefined);
  });

  it('takes the keys for the process when there are to be none', async () => {
    using session = terminal(
      ...runArgs('one', '-it', '--detach-keys', '', 'sh', '-c', 'stty raw -echo; echo ready; head -c 2 | od -An -c; exit 3'),
    );
    await session.shows(/ready/);
    session.type('\x10\x11');
    assert.equal(await session.exited, 3);
    assert.match(session.screen, /020 +021/);
  });

  it('refuses keys that are none', async () => {
    const { stderr, status } = await berth(['attach', '--detach-keys', 'ctrl-', ...address, 'one']);
    assert.deepEqual([status, stderr], [125, "berth: invalid --detach-keys: 'ctrl-' is no key; give e.g. ctrl-p,ctrl-q\n"]);
  });
});
