import assert from 'node:assert/strict';
import { readSync, writeSync } from 'node:fs';
import { preparePassedStdio } from '../../../agent/process/passed-stdio.ts';
import type { Stdio } from '../../../agent/process/stdio.ts';
import { Budget } from '../../../agent/process/stream/budget.ts';
import { native } from '../../../native/index.ts';
import { assertNoFdLeak, exitOf, spawn } from '../native/fixture.ts';

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

interface Run {
  stdio: Stdio;
  /** The client's ends. */
  stdin: number;
  stdout: number;
  stderr: number;
  exit: Promise<number | undefined>;
}

async function run(script: string): Promise<Run> {
  const pairs = [native().socketPair(), native().socketPair(), native().socketPair()] as const;
  const [stdin, stdout, stderr] = pairs;
  const options = { terminal: false, budget: new Budget(1 << 20), runtimeDir: '/nonexistent', pipeSizeBytes: 0 };
  const prepared = await preparePassedStdio(options, { stdin: stdin[0], stdout: stdout[0], stderr: stderr[0] });
  const child = spawn('/bin/sh', ['-c', script], { fds: [...prepared.childFds] });
  const stdio = await prepared.attach();
  const exit = exitOf(child).then(({ code }) => {
    stdio.processExited();
    return code;
  });
  return { stdio, stdin: stdin[1], stdout: stdout[1], stderr: stderr[1], exit };
}

async function readAll(fd: number): Promise<string> {
  const parts: Buffer[] = [];
  await new Promise<void>((resolve) => {
    const watch = native().watchReadable(fd, () => {
      const buffer = Buffer.alloc(65_536);
      const got = readSync(fd, buffer);
      if (got > 0) {
        parts.push(buffer.subarray(0, got));
        return;
      }
      watch.close();
      resolve();
    });
  });
  native().close(fd);
  return Buffer.concat(parts).toString();
}

describe('streams that go to connections of the client', function () {
  this.timeout(20_000);

  it('carry input, output and errors, each on its own, and end', async () => {
    const { stdio, stdin, stdout, stderr, exit } = await run('cat; echo oops >&2; exit 3');
    writeSync(stdin, 'hello');
    native().close(stdin);
    assert.deepEqual(await Promise.all([readAll(stdout), readAll(stderr), exit]), ['hello', 'oops\n', 3]);
    await stdio.copied;
    assert.equal(stdio.consumed, true);
  });

  it('are copied to the last byte before that is told, however slowly the client reads', async () => {
    const { stdio, stdin, stdout, stderr, exit } = await run('seq 1 100000');
    assert.equal(await Promise.race([exit, pause(700)]), undefined, 'the process waits for its client');
    let copied = false;
    void stdio.copied!.then(() => {
      copied = true;
    });
    await pause(700);
    assert.equal(copied, false);
    assert.equal((await readAll(stdout)).length, 588_895);
    await Promise.all([stdio.copied, exit]);
    for (const fd of [stdin, stderr]) native().close(fd);
  });

  it('do not let a background child hold up who waits, and still carry what it writes', async () => {
    const { stdio, stdin, stdout, stderr, exit } = await run('(sleep 1.2; echo late) & echo hi');
    assert.equal(await exit, 0);
    const exitedAt = performance.now();
    await stdio.copied;
    assert.ok(performance.now() - exitedAt < 1100);
    assert.equal(await readAll(stdout), 'hi\nlate\n');
    for (const fd of [stdin, stderr]) native().close(fd);
  });

  it('neither stop nor kill a process whose client has gone', async () => {
    const { stdio, stdin, stdout, stderr, exit } = await run('sleep 0.1; seq 1 100000; echo alive >&2; exit 4');
    native().close(stdout);
    assert.deepEqual(await Promise.all([readAll(stderr), exit]), ['alive\n', 4]);
    await stdio.copied;
    native().close(stdin);
  });

  it('give their process a stdout that can be opened again by its path', async () => {
    const { stdio, stdin, stdout, stderr } = await run('echo through the path > /dev/stdout');
    assert.equal(await readAll(stdout), 'through the path\n');
    await stdio.copied;
    for (const fd of [stdin, stderr]) native().close(fd);
  });

  it('leave nothing for readers of the API, and no input for its writers', async () => {
    const { stdio, stdin, stdout, stderr } = await run('echo x');
    assert.equal((await stdio.stdout.reader().next(10)).kind, 'end');
    await assert.rejects(stdio.stdin.write(Buffer.from('x')), /EPIPE/);
    await Promise.all([readAll(stdout), readAll(stderr), stdio.copied]);
    native().close(stdin);
  });

  it('leave nothing open, whether the process was made or not', () =>
    assertNoFdLeak(3, async () => {
      const { stdio, stdin, stdout, stderr, exit } = await run('exec cat');
      stdio.close();
      await Promise.all([readAll(stdout), readAll(stderr)]);
      native().close(stdin);
      await exit;
      const [ours, theirs] = native().socketPair();
      const options = { terminal: false, budget: new Budget(1 << 20), runtimeDir: '/nonexistent', pipeSizeBytes: 0 };
      const prepared = await preparePassedStdio(options, { stdout: ours });
      await prepared.abandon();
      native().close(theirs);
      await pause(50);
    }));
});
