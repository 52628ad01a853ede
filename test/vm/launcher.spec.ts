// The launcher on its own guests: what it starts is there, and gone again however the guest ends.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { hasCode } from '../../agent/errors.ts';
import { connectKata } from '../../client/kata/connect.ts';
import { bootGuest } from '../../client/vm/boot.ts';
import { findVm, listVms, startVm, stopVm } from '../../client/vm/named.ts';
import { identify } from '../../client/vm/process-identity.ts';
import { runRoot, sweepRunDirs } from '../../client/vm/run-dir.ts';
import { vmsDir } from '../../client/vm/vm-state.ts';
import { BOOT_TIMEOUT_MS } from '../support/guest.ts';
import { allGone, processesOf } from '../support/processes.ts';

/** Gives the tests of a block run and state directories of their own: other launchers of this user come and go. */
function ownDirectories(): void {
  const names = ['BERTH_RUN_DIR', 'XDG_STATE_HOME'] as const;
  const outside = names.map((name) => process.env[name]);
  const made: string[] = [];

  before(() => {
    for (const name of names) {
      const path = mkdtempSync(join(tmpdir(), 'berth-'));
      made.push(path);
      process.env[name] = path;
    }
  });

  after(() => {
    for (const [index, name] of names.entries()) {
      if (outside[index] === undefined) delete process.env[name];
      else process.env[name] = outside[index];
    }
    for (const path of made) rmSync(path, { recursive: true, force: true });
  });
}

describe('a guest of the launcher', function () {
  this.timeout(BOOT_TIMEOUT_MS);
  ownDirectories();

  it('is as large as asked, tells when it reached each stage, and is gone without trace when stopped', async () => {
    await using guest = await bootGuest({ memory: 640, cpus: 2, timeoutMs: BOOT_TIMEOUT_MS });
    const runDir = join(runRoot(), String(guest.cid));
    const processes = [identify(guest.pid)!, ...processesOf(runDir)];
    assert.equal(
      processes.length,
      guest.way === 'direct' ? 1 : 3,
      'QEMU once, and again with the device process where it names the socket',
    );
    assert.equal(dirname(guest.consoleLog), runDir);
    const { qemuStartMs, kernelMs, initMs, listeningMs } = guest.timeline();
    const marks = [0, qemuStartMs, kernelMs!, initMs!, listeningMs!];
    assert.deepEqual(
      marks,
      marks.toSorted((a, b) => a - b),
    );
    {
      await using client = await connectKata(guest.address, { timeoutMs: 60_000 });
      assert.match(await client.version(), /^\d+\.\d+\.\d+/);
    }
    assert.deepEqual(await guest.stop(), { code: 0, signal: null });
    assert.deepEqual(await guest.stop(), { code: 0, signal: null }, 'stopping twice is stopping once');
    await allGone(processes);
    assert.deepEqual(processesOf(runDir), []);
    assert.equal(existsSync(runDir), false);
  });

  it('is taken down when it powers itself off', async () => {
    await using guest = await bootGuest({ timeoutMs: BOOT_TIMEOUT_MS });
    const runDir = join(runRoot(), String(guest.cid));
    const stopped = guest.stop({
      timeoutMs: 60_000,
      graceful: async () => {
        await using client = await connectKata(guest.address, { timeoutMs: 60_000 });
        await client.kata.createSandbox({ sandboxId: 'launcher' });
        await client.kata.destroySandbox({});
      },
    });
    assert.deepEqual(await stopped, { code: 0, signal: null });
    assert.match(guest.consoleTail().join('\n'), /reboot: Power down/, 'the guest did it by itself');
    assert.deepEqual(processesOf(runDir), []);
    assert.equal(existsSync(runDir), false);
  });

  it('that ends before its agent listens fails to boot, and the error shows its console', async () => {
    await assert.rejects(
      bootGuest({ cmdline: ['rdinit=/nonexistent'], timeoutMs: BOOT_TIMEOUT_MS }),
      (error) => hasCode(error, 'unavailable') && /ended before its agent listened.*Kernel panic/s.test(error.message),
    );
    assert.deepEqual(readdirSync(runRoot()), []);
  });

  it('that is late fails to boot, with the time it was given', async () => {
    await assert.rejects(
      bootGuest({ timeoutMs: 500 }),
      (error) => hasCode(error, 'unavailable') && /within 500 ms/.test(error.message),
    );
    assert.deepEqual(readdirSync(runRoot()), []);
  });

  it('is given up when its caller gives up, and the reason is what is thrown', async () => {
    const wish = new AbortController();
    const reason = new Error('changed my mind');
    const booted = bootGuest({ signal: wish.signal, onProgress: () => setTimeout(() => wish.abort(reason), 200) });
    await assert.rejects(booted, reason);
    assert.deepEqual(readdirSync(runRoot()), []);
  });

  it('dies with a launcher that is killed, and the next launcher sweeps what is left', async () => {
    const script = `
      import { bootGuest } from ${JSON.stringify(new URL('../../client/vm/boot.ts', import.meta.url).href)};
      const guest = await bootGuest({ waitFor: 'console' });
      console.log(guest.cid, guest.pid);
      await guest.waitExit();`;
    const launcher = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    after(() => launcher.kill('SIGKILL'));
    const [line] = (await once(createInterface(launcher.stdout), 'line')) as [string];
    const [cid, pid] = line.split(' ');
    const runDir = join(runRoot(), cid!);
    const processes = [identify(Number(pid))!, ...processesOf(runDir)];
    launcher.kill('SIGKILL');
    await allGone(processes);
    assert.equal(existsSync(runDir), true);
    sweepRunDirs();
    assert.equal(existsSync(runDir), false);
  });
});

describe('a named VM', function () {
  this.timeout(BOOT_TIMEOUT_MS);
  ownDirectories();

  it('goes on when the process that started it is done, is found by its name, and leaves nothing when stopped', async () => {
    const started = await startVm('one', { waitFor: 'console' });
    const processes = [started.supervisor, identify(started.pid!)!];
    assert.deepEqual(findVm('one'), started);
    await assert.rejects(startVm('one'), (error) => hasCode(error, 'already_exists'));
    assert.deepEqual(
      listVms().map(({ name, status }) => [name, status]),
      [['one', 'running']],
    );
    await stopVm('one');
    await allGone(processes);
    assert.deepEqual(listVms(), []);
    assert.deepEqual(readdirSync(vmsDir()), []);
    assert.equal(existsSync(join(runRoot(), String(started.cid))), false);
    await assert.rejects(stopVm('one'), (error) => hasCode(error, 'not_found'));
  });

  it('that has died is shown as exited, with its console, until it is stopped', async () => {
    const { pid, supervisor, consoleLog } = await startVm('two', { waitFor: 'console' });
    process.kill(pid!, 'SIGKILL');
    await allGone([supervisor]);
    assert.equal(findVm('two'), undefined);
    const [exited] = listVms();
    assert.deepEqual([exited?.status, exited?.exit], ['exited', { code: null, signal: 'SIGKILL' }]);
    assert.notEqual(readFileSync(consoleLog, 'utf8'), '');
    await stopVm('two');
    assert.deepEqual(listVms(), []);
  });

  it('is not there when its start was given up', async () => {
    const wish = new AbortController();
    const started = startVm('three', {}, { signal: wish.signal, onProgress: () => wish.abort(new Error('changed my mind')) });
    await assert.rejects(started, /changed my mind/);
    assert.deepEqual(listVms(), []);
  });
});
