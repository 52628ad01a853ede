// The end of an environment: workers and processes that stop with watches open, from within callbacks, or mid-call.
import assert from 'node:assert/strict';
import { Worker } from 'node:worker_threads';
import { native } from '../../../native/index.ts';
import { exitOf, openFds, run, runNode, spawn, turn } from './fixture.ts';

const DOOR = new URL('../../../native/index.ts', import.meta.url).href;

/** A worker with the addon at `addon`; `port.postMessage` reaches us. */
function work(script: string): Worker {
  const code = `const { parentPort: port } = require('node:worker_threads');
    import(${JSON.stringify(DOOR)}).then(async (door) => { const addon = door.native(); ${script} });`;
  return new Worker(code, { eval: true });
}

const ended = (worker: Worker) => new Promise<number>((resolve, reject) => worker.once('exit', resolve).once('error', reject));
const message = (worker: Worker) => new Promise<unknown>((resolve) => worker.once('message', resolve));

const EVERY_WATCH = `
  const [readEnd, writeEnd] = addon.pipe();
  const child = addon.spawn({ file: '/bin/sleep', args: ['sleep', '60'], env: [], fds: [] });
  addon.watchReadable(readEnd, () => {});
  addon.watchChild(child.pidfd, () => {});
  try { addon.vsockAccept(addon.vsockListen(0xffffffff, 54400, 1), 2, () => {}); } catch {}
  addon.vsockConnect(0x7ffffff0, 1, 60000).catch(() => {});
  port.postMessage(child.pid);`;

/** Kills and reaps the sleeper that a worker left to this process. */
async function endChild(pid: number): Promise<void> {
  const pidfd = native().pidfdOpen(pid);
  native().pidfdSendSignal(pidfd, 9);
  assert.equal((await exitOf({ pid, pidfd })).signal, 9);
}

describe('native teardown', function () {
  this.timeout(60_000); // starts Nodes, slow on a busy machine
  it('lets a worker be terminated with every kind of watch open, and closes the fds they held', async () => {
    const pids: unknown[] = [];
    const once = async () => {
      const worker = work(EVERY_WATCH);
      pids.push(await message(worker));
      await worker.terminate();
    };
    await once();
    const before = openFds();
    for (let i = 0; i < 3; i++) await once();
    for (const pid of pids) await endChild(pid as number);
    // What the verbs gave to JavaScript is JavaScript's to close: 2 of the pipe, pidfd, listener. The watches' own are gone.
    const left = [...openFds()].filter(([fd]) => !before.has(fd)).map(([fd]) => fd);
    assert.ok(left.length <= 3 * 4, `${left.length} fds left`);
    for (const fd of left) native().close(fd);
  });

  it('lets a worker call process.exit from within a callback', async () => {
    for (const verb of [
      'addon.watchReadable(readEnd, () => process.exit(7))',
      'addon.watchReadable(readEnd, () => { watch.close(); process.exit(7); })',
    ]) {
      const worker = work(`const [readEnd, writeEnd] = addon.pipe(); addon.close(writeEnd); const watch = ${verb};`);
      assert.equal(await ended(worker), 7);
    }
  });

  it('gives what a callback throws in a worker to that worker, and ends it', async () => {
    const worker = work(`const [readEnd, writeEnd] = addon.pipe(); addon.close(writeEnd);
      addon.watchReadable(readEnd, () => { throw new RangeError('in the worker'); });`);
    await assert.rejects(ended(worker), { name: 'RangeError', message: 'in the worker' });
  });

  it('lets a worker end with work on the thread pool under way', async () => {
    const workers = Array.from({ length: 4 }, () =>
      work(`for (let i = 0; i < 8; i++) { addon.mount('x', '/no/such', 'x', 0, '').catch(() => {}); } process.exit(0);`),
    );
    assert.deepEqual(await Promise.all(workers.map(ended)), [0, 0, 0, 0]);
  });

  it('survives 30 workers terminated at any moment, inside verbs and callbacks', async () => {
    const script = `
      const loop = () => {
        const child = addon.spawn({ file: '/bin/true', args: ['true'], env: [], fds: [] });
        addon.watchChild(child.pidfd, () => { addon.close(child.pidfd); loop(); });
        addon.mount('x', '/no/such', 'x', 0, '').catch(() => {});
        addon.vsockConnect(0x7ffffff0, 9, 100).catch(() => {});
      };
      for (let i = 0; i < 8; i++) loop();
      port.postMessage('busy');`;
    for (let i = 0; i < 30; i++) {
      const before = openFds();
      const worker = work(script);
      await message(worker);
      await new Promise((resolve) => setTimeout(resolve, i));
      await worker.terminate();
      // pidfds in the hands of its JavaScript; reap what they stand for.
      for (const [fd, target] of openFds()) {
        if (before.has(fd)) continue;
        if (target === 'anon_inode:[pidfd]') await exitOf({ pid: 0, pidfd: fd }).catch(() => native().close(fd));
      }
    }
  });

  it('serves the main thread and several workers at once', async () => {
    const script = `
      const exits = Array.from({ length: 20 }, (_, i) => new Promise((resolve) => {
        const child = addon.spawn({ file: '/bin/sh', args: ['sh', '-c', 'exit ' + i], env: [], fds: [] });
        addon.watchChild(child.pidfd, ({ code }) => { addon.close(child.pidfd); resolve(code); });
      }));
      port.postMessage(await Promise.all(exits));`;
    const workers = [0, 1, 2].map(() => work(script));
    const exits = Promise.all(workers.map(ended));
    const told = Promise.all(workers.map(message));
    const { exit } = await run('/bin/true');
    assert.equal(exit.code, 0);
    for (const codes of await told) assert.deepEqual(codes, [...Array(20).keys()]);
    assert.deepEqual(await exits, [0, 0, 0]);
  });

  it('lets a process end in every way with watches open', async () => {
    const watching = `
      const [readEnd, writeEnd] = addon.pipe();
      addon.watchReadable(addon.pipe()[0], () => {});`;
    const ways: [string, number | undefined, number | undefined][] = [
      ['process.exit(5);', 5, undefined],
      ['addon.close(writeEnd); addon.watchReadable(readEnd, () => process.exit(6));', 6, undefined],
      ['process.kill(process.pid, "SIGTERM");', undefined, 15],
      ['addon.umount("/no/such", 0).catch(() => {}); process.exit(8);', 8, undefined],
    ];
    for (const [way, code, signal] of ways) {
      const { exit } = await runNode(watching + way, 'exec');
      assert.deepEqual([exit.code, exit.signal], [code, signal], way);
    }
  });

  it('does not lose a watch whose object is garbage', async () => {
    const script = `
      const [readEnd, writeEnd] = addon.pipe();
      (() => { addon.watchReadable(readEnd, () => { process.stdout.write('told'); process.exit(0); }); })();
      for (let i = 0; i < 5; i++) { gc(); await new Promise(setImmediate); }
      addon.close(writeEnd);`;
    const { stdout } = await runNode(script, 'exec', { NODE_OPTIONS: '--expose-gc' });
    assert.equal(stdout, 'told');
  });

  it('keeps no heap of 20000 watches made and closed', async () => {
    const script = `
      const { readFileSync } = await import('node:fs');
      const rssMiB = () => Number(/^RssAnon:\\s+(\\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))[1]) / 1024;
      const [readEnd] = addon.pipe();
      const round = async () => {
        for (let i = 0; i < 2000; i++) { const at = Buffer.alloc(1); addon.watchReadable(readEnd, () => at).close(); if (i % 100 === 0) await new Promise(setImmediate); }
        gc();
        await new Promise(setImmediate);
        gc();
      };
      for (let i = 0; i < 4; i++) await round();
      const before = rssMiB();
      for (let i = 0; i < 10; i++) await round();
      process.stdout.write(String(rssMiB() - before));`;
    const { stdout } = await runNode(script, 'exec', { NODE_OPTIONS: '--expose-gc' });
    assert.ok(Number(stdout) < 8, `grew by ${stdout} MiB`);
  });

  it('leaves no child of this file behind', async () => {
    const child = spawn('/bin/true');
    await exitOf(child);
    await turn();
    const { stdout } = await run('/bin/ps', ['-o', 'pid=,args=', '--ppid', String(process.pid)]);
    assert.doesNotMatch(stdout, /sleep 60|defunct/);
  });
});
