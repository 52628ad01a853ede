import assert from 'node:assert/strict';
import { TerminalBerth } from '../../../support/berth-cli.ts';
import { type ServedSandbox, serveSandbox } from '../../../support/fake-sandbox.ts';

describe('berth run -it, on a terminal', () => {
  let agent: ServedSandbox;

  before(async () => {
    agent = await serveSandbox();
  });

  after(async () => {
    await agent.close();
  });

  beforeEach(() => agent.sandbox.reset());

  function run(...command: string[]): TerminalBerth {
    const options = ['--address', agent.address, '--rootfs', 'blk:/dev/vdb', '--name', 'term'];
    return new TerminalBerth(['run', '-it', ...options, ...command], { rows: 33, columns: 101 }, { BERTH_PATIENCE: '0.5' });
  }

  it('has the size of our window before the process starts, and follows it', async () => {
    using terminal = run('sh', '-c', 'stty size; trap "stty size" WINCH; while :; do sleep 0.05; done');
    await terminal.shows(/33 101/);
    const size = agent.sandbox.find('term')?.spec.process.consoleSize;
    assert.deepEqual([size?.height, size?.width], [33, 101]);
    terminal.resize(44, 120);
    await terminal.shows(/44 120/);
  });

  it('gives Ctrl-C to the process, and ends with its status', async () => {
    using terminal = run('sh', '-c', 'trap "echo interrupted; exit 5" INT; echo ready; while :; do sleep 0.05; done');
    await terminal.shows(/ready/);
    terminal.type('\x03');
    assert.equal(await terminal.exited, 5);
    assert.match(terminal.screen, /interrupted/);
    assert.deepEqual(agent.sandbox.find('term')?.signals, [], 'it went as a key');
  });

  it('is raw while it runs, and as it was afterwards', async () => {
    using terminal = run('sh', '-c', 'echo ready; read line; echo "[$line]"');
    const before = await terminal.modes();
    await terminal.shows(/ready/);
    assert.notEqual(await terminal.modes(), before);
    terminal.type('hello\r');
    assert.equal(await terminal.exited, 0);
    assert.match(terminal.screen, /\[hello\]\r\n/);
    assert.equal(await terminal.modes(), before);
  });

  it('puts the terminal back and hangs the process up when TERM ends it', async () => {
    using terminal = run('sh', '-c', 'trap "exit 0" HUP; echo ready; while :; do sleep 0.05; done');
    const before = await terminal.modes();
    await terminal.shows(/ready/);
    process.kill(terminal.pid, 'SIGTERM');
    assert.equal(await terminal.exited, 143);
    assert.equal(await terminal.modes(), before);
    assert.deepEqual(agent.sandbox.find('term')?.signals, ['1']);
  });

  it('puts the terminal back when it dies at the third TERM of a process that will not end', async () => {
    using terminal = run('sh', '-c', 'trap "" HUP; echo ready; while :; do sleep 0.05; done');
    const before = await terminal.modes();
    await terminal.shows(/ready/);
    for (let count = 0; count < 3; count += 1) {
      process.kill(terminal.pid, 'SIGTERM');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.equal(await terminal.exited, 143);
    assert.equal(await terminal.modes(), before);
  });

  it('goes on over a connection that was lost', async () => {
    using terminal = run('sh', '-c', 'echo ready; read line; echo "[$line]"; exit 6');
    await terminal.shows(/ready/);
    agent.dropConnections();
    terminal.type('hello\r');
    assert.equal(await terminal.exited, 6);
    assert.match(terminal.screen, /\[hello\]\r\n/);
  });

  it('puts the terminal back when the agent goes away and stays away', async () => {
    using terminal = run('sh', '-c', 'echo ready; sleep 30');
    const before = await terminal.modes();
    await terminal.shows(/ready/);
    await agent.goAway();
    try {
      assert.equal(await terminal.exited, 125);
    } finally {
      await agent.comeBack();
    }
    assert.equal(await terminal.modes(), before);
    assert.match(terminal.screen, /\r\nberth: no agent answers at .* within 500 ms/);
  });

  it('puts the terminal back when the command is not there', async () => {
    using terminal = run('nope');
    const before = await terminal.modes();
    assert.equal(await terminal.exited, 127);
    assert.equal(await terminal.modes(), before);
    assert.match(terminal.screen, /^berth: .*not found.*\r\n$/);
  });

  it('with -t alone passes no key on, and leaves our terminal as it is', async () => {
    using terminal = new TerminalBerth(
      ['run', '-t', '--address', agent.address, '--rootfs', 'blk:/dev/vdb', 'sh', '-c', 'stty size; sleep 0.5; echo end'],
      { rows: 20, columns: 70 },
    );
    const before = await terminal.modes();
    await terminal.shows(/20 70/);
    assert.equal(await terminal.modes(), before);
    terminal.type('x\r');
    await terminal.shows(/end/);
    assert.equal(await terminal.exited, 0);
    assert.ok(!terminal.screen.includes('^'), 'the process saw no key');
    assert.equal(agent.sandbox.containers[0]?.init.stdio.stdin.accepted, 0n);
  });
});
