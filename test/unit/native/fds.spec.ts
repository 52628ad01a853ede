// Pipes, socket pairs, close; and that no fd the addon makes survives an exec.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { native } from '../../../native/index.ts';
import { assertNoFdLeak, exitOf, openFds, spawn, systemError } from './fixture.ts';

const O_CLOEXEC = 0o2000000;
const O_NONBLOCK = 0o4000;

function flagsOf(fd: number): number {
  return Number.parseInt(/^flags:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))![1]!, 8);
}

describe('native fds', () => {
  it('pipe gives a read end and a write end, in this order, blocking', () => {
    const [readEnd, writeEnd] = native().pipe();
    writeSync(writeEnd, 'through');
    native().close(writeEnd);
    assert.equal(flagsOf(readEnd) & O_NONBLOCK, 0);
    assert.equal(readFileSync(readEnd, 'utf8'), 'through');
    native().close(readEnd);
  });

  it('setPipeSize tells the size really set', () => {
    const [readEnd, writeEnd] = native().pipe();
    assert.equal(native().setPipeSize(writeEnd, 100_000), 131_072);
    assert.throws(() => native().setPipeSize(0x7fffffff, 4096), systemError('EBADF', 'fcntl'));
    for (const fd of [readEnd, writeEnd]) native().close(fd);
  });

  it('socketPair joins two ends, as a stream or as seqpacket', () => {
    for (const type of [undefined, 'stream', 'seqpacket'] as const) {
      const [a, b] = native().socketPair(type);
      native().sendFds(a, Buffer.from('one'), []);
      native().sendFds(a, Buffer.from('two'), []);
      const first = native().recvFds(b, 100).data.toString();
      assert.equal(first, type === 'seqpacket' ? 'one' : 'onetwo');
      for (const fd of [a, b]) native().close(fd);
    }
    assert.throws(() => native().socketPair('dgram' as never), { name: 'TypeError', message: /"type"/ });
  });

  it('close of an fd that is closed already throws EBADF', () => {
    const [readEnd, writeEnd] = native().pipe();
    native().close(readEnd);
    assert.throws(() => native().close(readEnd), systemError('EBADF', 'close'));
    native().close(writeEnd);
  });

  it('makes every fd close-on-exec', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'berth-cloexec-'));
    const addon = native();
    const child = spawn('/bin/sleep', ['60']);
    const [a, b] = addon.socketPair();
    const [c, d] = addon.pipe();
    const listener = addon.unixListen(join(folder, 'sock'), 4);
    const { default: net } = await import('node:net');
    const client = net.connect(join(folder, 'sock'));
    await new Promise((resolve) => client.once('connect', resolve));
    const accepted = addon.unixAccept(listener);
    addon.sendFds(a, Buffer.from('x'), [c]);
    const [received] = addon.recvFds(b, 10).fds as [number];
    const pty = addon.openPty();
    const beforeWatch = new Set(openFds().keys());
    const watch = addon.watchReadable(c, () => {});
    const watched = [...openFds().keys()].filter((fd) => !beforeWatch.has(fd));
    assert.equal(watched.length, 1, 'a watch holds one duplicate');
    const vsock = vsockFds();

    const made = [child.pidfd, addon.pidfdOpen(child.pid), a, b, c, d, listener, accepted, received, pty.master, pty.slave];
    for (const fd of [...made, ...watched, ...vsock]) {
      assert.notEqual(flagsOf(fd) & O_CLOEXEC, 0, `fd ${fd}, ${openFds().get(fd)}`);
    }

    watch.close();
    client.destroy();
    addon.pidfdSendSignal(child.pidfd, 9);
    await exitOf(child);
    for (const fd of [...made.slice(1), ...vsock]) addon.close(fd);
    rmSync(folder, { recursive: true });
  });

  it('keeps nothing open of what failed or was closed', async () => {
    const regular = join(import.meta.dirname, 'fixture.ts');
    await assertNoFdLeak(20, () => {
      for (const fd of [...native().pipe(), ...native().socketPair()]) native().close(fd);
      assert.throws(() => native().unixListen(regular, 1), systemError('EADDRINUSE', 'bind', regular));
      assert.throws(() => native().watchReadable(0x7fffffff, () => {}), systemError('EBADF', 'fcntl'));
    });
  });
});

/** A vsock listener where the kernel has AF_VSOCK; vsock.spec.ts says what happens where it has not. */
function vsockFds(): number[] {
  try {
    return [native().vsockListen(0xffffffff, 54321, 1)];
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'EAFNOSUPPORT');
    return [];
  }
}
