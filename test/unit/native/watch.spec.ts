// watchReadable and watchPriority on pipes, sockets and kernel event files.
import assert from 'node:assert/strict';
import { closeSync, mkdirSync, openSync, readFileSync, readSync, rmdirSync, writeFileSync, writeSync } from 'node:fs';
import { native } from '../../../native/index.ts';
import { assertNoFdLeak, CAP_SYS_ADMIN, hasCapability, runNode, systemError, turn } from './fixture.ts';

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe('native watch', function () {
  this.timeout(60_000); // starts Nodes, slow on a busy machine
  it('calls back when a pipe gets bytes, and again for more', async () => {
    const [readEnd, writeEnd] = native().pipe();
    const seen: string[] = [];
    let next: (() => void) | undefined;
    const watch = native().watchReadable(readEnd, () => {
      const chunk = Buffer.alloc(16);
      seen.push(chunk.toString('utf8', 0, readSync(readEnd, chunk)));
      next?.();
    });
    for (const word of ['one', 'two', 'three']) {
      const told = new Promise<void>((resolve) => {
        next = resolve;
      });
      writeSync(writeEnd, word);
      await told;
    }
    watch.close();
    assert.deepEqual(seen, ['one', 'two', 'three']);
    for (const fd of [readEnd, writeEnd]) native().close(fd);
  });

  it('calls back at the end of a pipe', async () => {
    const [readEnd, writeEnd] = native().pipe();
    const told = new Promise<void>((resolve) => {
      const watch = native().watchReadable(readEnd, () => {
        watch.close();
        resolve();
      });
    });
    native().close(writeEnd);
    await told;
    native().close(readEnd);
  });

  it('calls nobody once closed, even for what was readable before', async () => {
    const [readEnd, writeEnd] = native().pipe();
    const watch = native().watchReadable(readEnd, () => assert.fail('called after close'));
    writeSync(writeEnd, 'x');
    watch.close();
    watch.close();
    await turn();
    for (const fd of [readEnd, writeEnd]) native().close(fd);
  });

  it('may close another watch that is due in the same round of the loop', async () => {
    const pipes = [native().pipe(), native().pipe()];
    let calls = 0;
    const watches = pipes.map(([readEnd]) =>
      native().watchReadable(readEnd, () => {
        calls++;
        for (const watch of watches) watch.close();
      }),
    );
    for (const [, writeEnd] of pipes) writeSync(writeEnd, 'x');
    await pause(20);
    assert.equal(calls, 1);
    for (const fd of pipes.flat()) native().close(fd);
  });

  it('watches one fd twice, and survives the fd being closed and its number reused', async () => {
    const [readEnd, writeEnd] = native().pipe();
    let calls = 0;
    const watches = [0, 1].map(() => native().watchReadable(readEnd, () => calls++));
    native().close(readEnd);
    const reused = native().pipe();
    assert.ok(reused.includes(readEnd), 'the number was taken over');
    await turn();
    assert.equal(calls, 0);
    writeSync(writeEnd, 'x');
    await turn();
    assert.ok(calls >= 2);
    for (const watch of watches) watch.close();
    for (const fd of [writeEnd, ...reused]) native().close(fd);
  });

  it('makes what its callback throws an uncaught exception, and goes on', async () => {
    const script = `
      const [readEnd, writeEnd] = addon.pipe();
      let calls = 0;
      process.on('uncaughtException', (error) => { process.stdout.write(error.message + ';'); if (++calls === 2) watch.close(); });
      const watch = addon.watchReadable(readEnd, () => { throw new Error('from the callback'); });
      addon.close(writeEnd);`;
    const { stdout } = await runNode(script);
    assert.equal(stdout, 'from the callback;from the callback;');
  });

  it('lets the process end only when it is closed or unref-ed', async () => {
    const script = (last: string) => `
      const watch = addon.watchReadable(addon.pipe()[0], () => {});
      process.on('exit', () => process.stdout.write('ended'));
      ${last}`;
    assert.equal((await runNode(script('watch.unref();'))).stdout, 'ended');
    assert.equal((await runNode(script('watch.close();'))).stdout, 'ended');
    const held = 'watch.unref(); watch.ref(); setTimeout(() => { process.stdout.write("held,"); watch.close(); }, 50).unref();';
    assert.equal((await runNode(script(held))).stdout, 'held,ended');
  });

  it('runs the promises of a callback before the next event', async () => {
    const [readEnd, writeEnd] = native().pipe();
    const order: string[] = [];
    writeSync(writeEnd, 'x');
    await new Promise<void>((resolve) => {
      const watch = native().watchReadable(readEnd, () => {
        order.push('call');
        void Promise.resolve().then(() => {
          order.push('promise');
          if (order.length >= 4) {
            watch.close();
            resolve();
          }
        });
      });
    });
    assert.deepEqual(order, ['call', 'promise', 'call', 'promise']);
    for (const fd of [readEnd, writeEnd]) native().close(fd);
  });

  it('throws EPERM for a regular file, which epoll can not wait for', () => {
    const fd = openSync(import.meta.filename, 'r');
    for (const watch of [native().watchReadable, native().watchPriority]) {
      assert.throws(() => watch(fd, () => {}), systemError('EPERM', 'epoll_ctl'));
    }
    closeSync(fd);
  });

  it('calls back once more for a socket in error, without spinning', async () => {
    const [a, b] = native().socketPair();
    native().sendFds(a, Buffer.from('never read'), []);
    let calls = 0;
    const watch = native().watchReadable(a, () => calls++);
    native().close(b); // resets: it had unread bytes
    await pause(50);
    assert.equal(calls, 1);
    watch.close();
    native().close(a);
  });

  it('watchPriority tells of a mount made', async function () {
    if (!hasCapability(CAP_SYS_ADMIN)) return this.skip();
    const script = `
      const { openSync } = await import('node:fs');
      const fd = openSync('/proc/self/mountinfo', 'r');
      let calls = 0;
      const watch = addon.watchPriority(fd, () => calls++);
      await new Promise((resolve) => setTimeout(resolve, 10));
      await addon.mount('none', '/mnt', 'tmpfs', 0, '');
      const deadline = Date.now() + 5000;
      while (calls === 0 && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5));
      await new Promise((resolve) => setTimeout(resolve, 50));
      process.stdout.write(calls >= 1 && calls < 10 ? 'told' : 'calls: ' + calls);
      watch.close();`;
    assert.equal((await runNode(script, 'unshare --mount')).stdout, 'told');
  });

  it('watchPriority tells of each cgroup event once, and of the removal', async function () {
    const root = /^\d+ \d+ \S+ \S+ (\S+) .* - cgroup2 /m.exec(readFileSync('/proc/self/mountinfo', 'utf8'))?.[1];
    if (!hasCapability(CAP_SYS_ADMIN) || root === undefined) return this.skip();
    const cgroup = `${root}/berth-watch-${process.pid}`;
    mkdirSync(cgroup);
    const fd = openSync(`${cgroup}/cgroup.events`, 'r');
    let calls = 0;
    let next: (() => void) | undefined;
    const watch = native().watchPriority(fd, () => {
      calls++;
      next?.();
    });
    const told = () =>
      new Promise<void>((resolve) => {
        next = resolve;
      });
    await pause(20);
    calls = 0; // a file just opened may call back once
    for (const frozen of ['1', '0']) {
      const event = told();
      writeFileSync(`${cgroup}/cgroup.freeze`, frozen);
      await event;
      assert.match(readFileSync(`${cgroup}/cgroup.events`, 'utf8'), new RegExp(`frozen ${frozen}`));
    }
    await pause(50);
    assert.equal(calls, 2, 'no spinning on an event that JavaScript did not read');
    rmdirSync(cgroup);
    await pause(50);
    assert.ok(calls <= 3, `${calls - 2} calls after the removal`);
    watch.close();
    closeSync(fd);
  });

  it('keeps no fd once closed', async () => {
    const [readEnd, writeEnd] = native().pipe();
    await assertNoFdLeak(50, () =>
      native()
        .watchReadable(readEnd, () => {})
        .close(),
    );
    for (const fd of [readEnd, writeEnd]) native().close(fd);
  });
});
