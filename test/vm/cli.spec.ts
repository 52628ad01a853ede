// `berth` against a booted guest, through pipes and through a real terminal.
import assert from 'node:assert/strict';
import type { Finding } from '../../client/doctor/finding.ts';
import { berth, TerminalBerth } from '../support/berth-cli.ts';
import { sharedGuest, type TestGuest } from '../support/guest.ts';

/** Everything takes longer in emulation. */
const PATIENT = { timeoutMs: 60_000 };

describe('berth on a booted guest', () => {
  let guest: TestGuest;
  let target: string[];

  before(async () => {
    guest = await sharedGuest();
    target = ['--address', guest.guest.address];
  });

  const run = (...args: string[]) => ['run', ...target, '--rm', '--rootfs', 'blk:/dev/vdb', ...args];

  describe('on pipes', () => {
    it('keeps stdout and stderr apart and ends with the status of the process', async () => {
      const done = await berth(run('sh', '-c', 'echo out; echo err >&2; exit 3'));
      assert.deepEqual(done, { stdout: 'out\n', stderr: 'err\n', status: 3 });
    });

    it('passes 128 KiB of stdin through cat', async () => {
      const input = 'x'.repeat(128 * 1024);
      assert.deepEqual(await berth(run('-i', 'cat'), { input }), { stdout: input, stderr: '', status: 0 });
    });

    it('ends with the process though a child of it keeps its stdout open', async () => {
      const done = await berth(run('sh', '-c', 'sleep 60 & echo hi; exit 3'));
      assert.deepEqual(done, { stdout: 'hi\n', stderr: '', status: 3 });
    });

    const programs: [string, string, number][] = [
      ['is not there', 'nope', 127],
      ['may not be executed', '/etc/passwd', 126],
      ['is a directory', '/etc', 126],
    ];
    for (const [what, program, status] of programs) {
      it(`is ${status} for a program that ${what}, and leaves no container`, async () => {
        const done = await berth(run(program));
        assert.deepEqual([done.stdout, done.status], ['', status], done.stderr);
        assert.match(done.stderr, /^berth: crun [^{]*\n$/);
        assert.equal((await berth(['ps', '-a', '-q', ...target])).stdout, '');
      });
    }

    it('runs, lists, enters, measures, kills and removes a container', async () => {
      const start = ['run', '-d', ...target, '--rootfs', 'blk:/dev/vdb', '--name', 'cli-web', '-m', '64m'];
      const started = await berth([...start, 'sh', '-c', 'trap "exit 7" TERM; while :; do sleep 0.1; done']);
      assert.deepEqual(started, { stdout: 'cli-web\n', stderr: '', status: 0 });
      try {
        assert.match((await berth(['ps', ...target])).stdout, /\ncli-web +sh -c .* Up /);
        assert.equal((await berth(['exec', ...target, 'cli-web', 'cat', '/sys/fs/cgroup/memory.max'])).stdout, '67108864\n');
        assert.equal(
          (await berth(['exec', ...target, '-e', 'A=b c', '-w', '/tmp', 'cli-web', 'sh', '-c', 'echo $A; pwd; exit 5'])).status,
          5,
        );
        assert.match((await berth(['stats', ...target])).stdout, /\ncli-web +\d+\.\d\d% +\d.*iB \/ 64\.0MiB /);
        assert.equal((await berth(['kill', '-s', 'TERM', ...target, 'cli-web'])).status, 0);
        await eventually(async () => assert.match((await berth(['ps', '-a', ...target])).stdout, /Exited \(7\)/));
      } finally {
        assert.equal((await berth(['rm', '-f', ...target, 'cli-web'])).stdout, 'cli-web\n');
      }
      assert.equal((await berth(['ps', '-a', '-q', ...target])).stdout, '');
    });
  });

  it('is a guest in which the doctor finds nothing that does not work', async () => {
    const done = await berth(['doctor', '--json', ...target]);
    const findings = JSON.parse(done.stdout) as Finding[];
    const unwell = findings.filter(({ status }) => status === 'problem');
    assert.deepEqual([done.status, unwell], [0, []]);
    const found = Object.fromEntries(findings.map((finding) => [finding.id, finding.found]));
    assert.match(found['crun'] ?? '', /\d+\.\d+/);
    assert.equal(found['cgroups'], 'version 2');
    assert.equal(found['cid'], `vsock CID ${guest.guest.cid}`);
    assert.match(found['clock'] ?? '', /ms, known to \d+ ms$/);
  });

  it('tells what a container said that was left to itself, goes back to it, and tells its end and its events', async () => {
    const name = 'cli-left';
    const script = 'echo out; echo err >&2; read line; echo "[$line]"; exit 5';
    const started = await berth(['run', '-d', '-i', ...target, '--rootfs', 'blk:/dev/vdb', '--name', name, 'sh', '-c', script]);
    assert.deepEqual(started, { stdout: `${name}\n`, stderr: '', status: 0 });
    try {
      await eventually(async () =>
        assert.deepEqual(await berth(['logs', ...target, name]), { stdout: 'out\n', stderr: 'err\n', status: 0 }),
      );
      const attached = await berth(['attach', ...target, name], { input: 'hi\n' });
      assert.deepEqual(attached, { stdout: '[hi]\n', stderr: '', status: 5 });
      assert.deepEqual(await berth(['wait', ...target, name]), { stdout: '5\n', stderr: '', status: 5 });
      assert.equal((await berth(['logs', '-f', '-n', '1', ...target, name])).stdout, '[hi]\n');
      const { stdout } = await berth(['events', '--no-follow', '--json', '-f', 'container.', '--container', name, ...target]);
      const kinds = stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).kind);
      assert.deepEqual(kinds, ['container.created', 'container.started', 'container.stopped']);
    } finally {
      await berth(['rm', '-f', ...target, name]);
    }
  });

  describe('run -it, on a terminal', () => {
    /** A shell in a container, at its first prompt. */
    async function shell(): Promise<TerminalBerth> {
      const terminal = new TerminalBerth(run('-it', '-e', 'PS1=ready> ', 'sh'), { rows: 33, columns: 101 });
      await terminal.shows(/ready> /, PATIENT);
      return terminal;
    }

    /** Types a line and waits for what it prints, up to the next prompt. */
    async function answer(terminal: TerminalBerth, line: string, pattern: RegExp): Promise<RegExpExecArray> {
      const from = terminal.screen.length;
      terminal.type(`${line}\r`);
      return await terminal.shows(pattern, { from, ...PATIENT });
    }

    it('has the size of our window, and follows it', async () => {
      using terminal = await shell();
      await answer(terminal, 'stty size', /\r\n33 101\r\n/);
      terminal.resize(44, 120);
      await eventually(() => answer(terminal, 'stty size', /\r\n44 120\r\nready> /));
      terminal.type('exit\r');
      assert.equal(await terminal.exited, 0);
    });

    it('gives Ctrl-C to what runs in the foreground, and the shell goes on', async () => {
      using terminal = await shell();
      const from = terminal.screen.length;
      // It says when it reads: keys that come while the shell still edits its line are not a line to anyone else.
      terminal.type("sh -c 'echo $((40 + 2)) && exec cat'\r");
      await terminal.shows(/\r\n42\r\n/, { from, ...PATIENT });
      terminal.type('typed\r');
      await terminal.shows(/typed\r\ntyped\r\n/, { from, ...PATIENT });
      terminal.type('\x03');
      await terminal.shows(/\^C\r\nready> /, { from, ...PATIENT });
      await answer(terminal, 'echo $?', /\r\n130\r\n/);
      terminal.type('exit 9\r');
      assert.equal(await terminal.exited, 9);
    });

    it('has job control: Ctrl-Z stops, bg and fg go on', async () => {
      using terminal = await shell();
      let from = terminal.screen.length;
      terminal.type('sleep 300\r');
      await terminal.shows(/sleep 300\r\n/, { from, ...PATIENT });
      await stopped(terminal, from);
      await answer(terminal, 'jobs', /Stopped +sleep 300/);
      await answer(terminal, 'bg', /\[1\].* sleep 300\r\n[\s\S]*ready> /);
      await answer(terminal, 'jobs', /Running +sleep 300/);
      from = terminal.screen.length;
      terminal.type('fg\r');
      await terminal.shows(/fg\r\nsleep 300\r\n/, { from, ...PATIENT });
      terminal.type('\x03');
      await terminal.shows(/ready> /, { from, ...PATIENT });
      terminal.type('exit 4\r');
      assert.equal(await terminal.exited, 4);
    });

    it('ends with Ctrl-D, its terminal as it was', async () => {
      using terminal = new TerminalBerth(run('-it', '-e', 'PS1=ready> ', 'sh'), { rows: 24, columns: 80 });
      const before = await terminal.modes();
      await terminal.shows(/ready> /, PATIENT);
      assert.notEqual(await terminal.modes(), before);
      terminal.type('\x04');
      assert.equal(await terminal.exited, 0);
      assert.equal(await terminal.modes(), before);
    });

    it('exec -it gives a second terminal in the same container', async () => {
      const started = await berth(['run', '-d', ...target, '--rootfs', 'blk:/dev/vdb', '--name', 'cli-two', 'sleep', 'inf']);
      assert.equal(started.status, 0, started.stderr);
      try {
        using terminal = new TerminalBerth(['exec', '-it', ...target, '-e', 'PS1=ready> ', 'cli-two', 'sh'], {
          rows: 20,
          columns: 60,
        });
        await terminal.shows(/ready> /, PATIENT);
        await answer(terminal, 'stty size; cat /proc/1/comm; tty', /\r\n20 60\r\nsleep\r\n\/dev\/pts\/\d+\r\n/);
        terminal.type('exit 11\r');
        assert.equal(await terminal.exited, 11);
      } finally {
        await berth(['rm', '-f', ...target, 'cli-two']);
      }
    });
  });
});

/** Ctrl-Z counts once the job is in the foreground, which the screen does not tell: it is typed until the shell answers. */
async function stopped(terminal: TerminalBerth, from: number): Promise<void> {
  await eventually(async () => {
    terminal.type('\x1a');
    await terminal.shows(/Stopped +sleep 300\r\nready> /, { from, timeoutMs: 2000 });
  });
}

/** Tries until it holds; in emulation a change takes a while to arrive. */
async function eventually(check: () => Promise<unknown>, timeoutMs = 60_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    try {
      await check();
      return;
    } catch (error) {
      if (performance.now() > deadline) throw error;
    }
  }
}
