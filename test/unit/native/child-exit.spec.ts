// watchChild: every end is told once, rightly, and leaves no zombie.
import assert from 'node:assert/strict';
import { spawn as nodeSpawn } from 'node:child_process';
import { once } from 'node:events';
import { type ChildExit, native } from '../../../native/index.ts';
import { assertNoFdLeak, exitOf, openFds, sh, spawn, systemError, turn, zombies } from './fixture.ts';

describe('native child exit', () => {
  afterEach(() => assert.deepEqual(zombies(), []));

  for (const code of [0, 1, 42, 255]) {
    it(`tells exit code ${code}`, async () => {
      const child = spawn('/bin/sh', ['-c', `exit ${code}`]);
      assert.deepEqual(await exitOf(child), { pid: child.pid, code, coreDumped: false });
    });
  }

  for (const signal of [1, 2, 6, 9, 11, 15, 34, 64]) {
    it(`tells death by signal ${signal}`, async () => {
      const child = spawn('/bin/sh', ['-c', `ulimit -c 0; exec sleep 60`]);
      native().pidfdSendSignal(child.pidfd, signal);
      const exit = await exitOf(child);
      assert.deepEqual(exit, { pid: child.pid, signal, coreDumped: false });
    });
  }

  it('tells a child that ended before it was watched', async () => {
    const child = spawn('/bin/true');
    await until(() => zombies().length === 1);
    assert.deepEqual(await exitOf(child), { pid: child.pid, code: 0, coreDumped: false });
  });

  it('tells nothing of a child that is only stopped', async () => {
    const child = spawn('/bin/sleep', ['60']);
    let exit: ChildExit | undefined;
    const watch = native().watchChild(child.pidfd, (told) => {
      exit = told;
    });
    native().pidfdSendSignal(child.pidfd, 19);
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(exit, undefined);
    watch.close();
    native().pidfdSendSignal(child.pidfd, 9);
    await exitOf(child);
  });

  it('tells 200 children apart that end at the same time, each exactly once', async () => {
    const before = openFds().size;
    const children = Array.from({ length: 200 }, (_, i) => spawn('/bin/sh', ['-c', i % 2 ? `exit ${i}` : 'kill -9 $$']));
    const calls = new Map<number, number>();
    const exits = await Promise.all(
      children.map(
        (child) =>
          new Promise<ChildExit>((resolve) => {
            native().watchChild(child.pidfd, (exit) => {
              calls.set(exit.pid, (calls.get(exit.pid) ?? 0) + 1);
              native().close(child.pidfd);
              resolve(exit);
            });
          }),
      ),
    );
    await turn();
    exits.forEach((exit, i) => {
      const end = i % 2 ? { code: i } : { signal: 9 };
      assert.deepEqual(exit, { pid: children[i]!.pid, ...end, coreDumped: false });
    });
    assert.ok([...calls.values()].every((count) => count === 1) && calls.size === 200);
    assert.equal(openFds().size, before);
  });

  it('leaves the children of child_process to libuv, and libuv leaves it ours', async () => {
    const theirs = Array.from({ length: 20 }, (_, i) => nodeSpawn('/bin/sh', ['-c', `exit ${i}`]));
    const ours = Array.from({ length: 20 }, (_, i) => spawn('/bin/sh', ['-c', `exit ${i}`]));
    const [theirCodes, ourExits] = await Promise.all([
      Promise.all(theirs.map(async (child) => (await once(child, 'exit'))[0] as number)),
      Promise.all(ours.map(exitOf)),
    ]);
    assert.deepEqual(theirCodes, [...Array(20).keys()]);
    assert.deepEqual(
      ourExits.map(({ code }) => code),
      [...Array(20).keys()],
    );
  });

  it('refuses to watch what is not a child of ours', async () => {
    const pidfd = native().pidfdOpen(process.ppid);
    assert.throws(() => native().watchChild(pidfd, () => {}), systemError('ECHILD', 'waitid'));
    native().close(pidfd);
    const [readEnd, writeEnd] = native().pipe();
    assert.throws(() => native().watchChild(readEnd, () => {}), systemError('EBADF', 'waitid'));
    native().close(readEnd);
    native().close(writeEnd);
  });

  it('still calls back when the pidfd is closed right after the watch began', async () => {
    const child = spawn('/bin/sleep', ['0.05']);
    const exit = new Promise((resolve) => native().watchChild(child.pidfd, resolve));
    native().close(child.pidfd);
    const other = native().pipe(); // takes the number over
    assert.deepEqual(await exit, { pid: child.pid, code: 0, coreDumped: false });
    for (const fd of other) native().close(fd);
  });

  it('calls nobody after close, and close may be called twice', async () => {
    const child = spawn('/bin/true');
    const watch = native().watchChild(child.pidfd, () => assert.fail('called after close'));
    watch.close();
    watch.close();
    watch.ref();
    watch.unref();
    await until(() => zombies().length === 1);
    await turn();
    assert.equal((await exitOf(child)).code, 0, 'the status was left for the next watch');
  });

  it('may be closed from within its own callback', async () => {
    const child = spawn('/bin/true');
    await new Promise<void>((resolve) => {
      const watch = native().watchChild(child.pidfd, () => {
        watch.close();
        watch.unref();
        native().close(child.pidfd);
        resolve();
      });
    });
  });

  it('says that the status is lost when somebody else reaped the child', async () => {
    const child = spawn('/bin/sleep', ['0.05']);
    const first = new Promise<ChildExit>((resolve) => native().watchChild(child.pidfd, resolve));
    const second = new Promise<ChildExit>((resolve) => native().watchChild(child.pidfd, resolve));
    const exits = await Promise.all([first, second]);
    native().close(child.pidfd);
    assert.deepEqual(
      exits.sort((a, b) => b.pid - a.pid),
      [
        { pid: child.pid, code: 0, coreDumped: false },
        { pid: -1, coreDumped: false },
      ],
    );
  });

  it('pidfdOpen throws ESRCH for a pid that is gone, and EINVAL for 0', async () => {
    const { stdout } = await sh('echo $$');
    assert.throws(() => native().pidfdOpen(Number(stdout)), systemError('ESRCH', 'pidfd_open'));
    assert.throws(() => native().pidfdOpen(0), systemError('EINVAL', 'pidfd_open'));
  });

  it('pidfdSendSignal throws EINVAL for a number that is no signal', async () => {
    const child = spawn('/bin/true');
    assert.throws(() => native().pidfdSendSignal(child.pidfd, 65), systemError('EINVAL', 'pidfd_send_signal'));
    await exitOf(child);
  });

  it('keeps no fd of a watch that ended or was closed', async () => {
    await assertNoFdLeak(30, async () => {
      const child = spawn('/bin/true');
      native()
        .watchChild(child.pidfd, () => {})
        .close();
      await exitOf(child);
    });
  });
});

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 5000;
  while (!condition()) {
    assert.ok(Date.now() < deadline, 'did not happen within 5 s');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
