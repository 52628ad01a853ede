// Stream sockets by descriptor: in whose network they are made, and what reading, writing and closing them gives. Paths as a process sees them.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { native } from '../../../native/index.ts';
import { openNetNamespace } from '../../support/net-namespace.ts';
import { assertNoFdLeak, CAP_SYS_ADMIN, hasCapability, systemError, turn } from './fixture.ts';

const O_PATH = 0o10000000;

describe('native stream sockets', () => {
  const { socketIn, connectSocket, receive, transmit, shutdownWrites, resetOnClose, close, socketPair } = native();
  let server: net.Server;
  let port = 0;

  before(async () => {
    server = net.createServer((socket) => socket.on('error', () => {}).end('hi')).listen(0, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as net.AddressInfo).port;
  });
  after(() => server.close());

  const connected = async (address: string, family: 'inet' | 'inet6' | 'unix', to = 0): Promise<number> => {
    const socket = await socketIn(undefined, family);
    try {
      return await connectSocket(socket, address, to, 2_000);
    } finally {
      close(socket);
    }
  };

  it('connect and read to the end, without waiting', async () => {
    const fd = await connected('127.0.0.1', 'inet', port);
    const buffer = Buffer.alloc(16);
    let text = '';
    for (let got = -1; got !== 0; got = receive(fd, buffer)) {
      if (got > 0) text += buffer.toString('utf8', 0, got);
      else await turn();
    }
    assert.equal(text, 'hi');
    close(fd);
  });

  it('give what is there, take what there is room for, and end one way', () => {
    const [a, b] = socketPair();
    const buffer = Buffer.alloc(64 * 1024);
    assert.equal(receive(a, buffer), -1);
    let sent = 0;
    for (let more = 0; more >= 0; more = transmit(a, buffer)) sent += more;
    assert.ok(sent >= 64 * 1024, `${sent}`);
    shutdownWrites(a);
    let got = 0;
    for (let more = receive(b, buffer); more > 0; more = receive(b, buffer)) got += more;
    assert.equal(got, sent);
    assert.equal(receive(b, buffer), 0);
    assert.equal(transmit(b, Buffer.from('back')), 4);
    assert.equal(receive(a, buffer), 4);
    close(b);
    assert.throws(() => transmit(a, Buffer.from('x')), systemError('EPIPE', 'send'));
    close(a);
    assert.throws(() => receive(a, Buffer.alloc(0)), { name: 'TypeError', message: /"buffer"/ });
  });

  it('reset the other side when told to', async () => {
    const ends: string[] = [];
    const listener = net.createServer((socket) => {
      socket.on('error', (error: NodeJS.ErrnoException) => ends.push(error.code!));
      socket.resume();
    });
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const accepted = once(listener, 'connection');
    const fd = await connected('127.0.0.1', 'inet', (listener.address() as net.AddressInfo).port);
    resetOnClose(fd);
    await accepted;
    close(fd);
    for (let tries = 0; ends.length === 0 && tries < 500; tries++) await turn();
    assert.deepEqual(ends, ['ECONNRESET']);
    listener.close();
  });

  it('say why they can not be connected', async () => {
    await assert.rejects(connected('127.0.0.1', 'inet', 1), systemError('ECONNREFUSED', 'connect'));
    await assert.rejects(connected('/no/such/socket', 'unix'), systemError('ENOENT', 'connect'));
    await assert.rejects(connected('@berth-nobody', 'unix'), systemError('ECONNREFUSED', 'connect'));
    const socket = await socketIn(undefined, 'inet');
    for (const address of ['::1', 'localhost', '1.2.3.4.5']) {
      await assert.rejects(connectSocket(socket, address, 1, 10), { name: 'TypeError', message: /"address"/ });
    }
    close(socket);
    const long = await socketIn(undefined, 'unix');
    await assert.rejects(connectSocket(long, `/${'x'.repeat(120)}`, 0, 10), { name: 'TypeError', message: /"address"/ });
    close(long);
    await assert.rejects(socketIn(undefined, 'netlink' as never), { name: 'TypeError', message: /"family"/ });
  });

  it('are made in the network of the process named, and no thread of ours moves there', async function () {
    if (!hasCapability(CAP_SYS_ADMIN)) return this.skip();
    await using other = await openNetNamespace();
    const pidfd = native().pidfdOpen(other.pid);
    const socket = await socketIn(pidfd, 'inet');
    // Its loopback is down.
    await assert.rejects(connectSocket(socket, '127.0.0.1', port, 100), /ENETUNREACH|ETIMEDOUT|EADDRNOTAVAIL/);
    close(socket);
    close(await connected('127.0.0.1', 'inet', port));
    close(pidfd);
  });

  it('keep no fd', async () => {
    await assertNoFdLeak(5, async () => {
      close(await connected('127.0.0.1', 'inet', port));
      await assert.rejects(connected('127.0.0.1', 'inet', 1));
      await assert.rejects(connected('/no/such/socket', 'unix'));
    });
  });
});

describe('native openInProcess', () => {
  it('sees the root of the process, links counted from there, and no link of /proc', async function () {
    if (!hasCapability(CAP_SYS_ADMIN)) return this.skip();
    const folder = mkdtempSync(join(tmpdir(), 'berth-root-'));
    mkdirSync(join(folder, 'sub'));
    writeFileSync(join(folder, 'sub/file'), 'inside');
    symlinkSync('/sub/file', join(folder, 'absolute'));
    symlinkSync('../../../../sub/file', join(folder, 'climbing'));
    mkdirSync(join(folder, 'proc'));
    // A mount namespace whose root is the folder.
    const script = `mount --bind ${folder} ${folder} && cd ${folder} && mkdir -p old && mount -t proc proc proc && pivot_root . old && echo inside; read end`;
    const holder = spawn('unshare', ['--mount', 'sh', '-c', script], { stdio: ['pipe', 'pipe', 'inherit'] });
    await once(holder.stdout, 'data');
    const pidfd = native().pidfdOpen(holder.pid!);
    try {
      for (const path of ['/sub/file', '/absolute', '/climbing', '/../../sub/file']) {
        const fd = await native().openInProcess(pidfd, path, 0);
        assert.equal(readFileSync(fd, 'utf8'), 'inside', path);
        native().close(fd);
      }
      const magic = `/proc/${holder.pid}/root/sub/file`;
      await assert.rejects(native().openInProcess(pidfd, magic, O_PATH), systemError('ELOOP', 'openat2', magic));
      await assert.rejects(native().openInProcess(pidfd, '/none', O_PATH), systemError('ENOENT', 'openat2', '/none'));
      await assert.rejects(native().openInProcess(pidfd, 'relative', O_PATH), { name: 'TypeError', message: /"path"/ });
    } finally {
      holder.stdin.end();
      await once(holder, 'exit');
      await assert.rejects(native().openInProcess(pidfd, '/', O_PATH), systemError('ESRCH', 'setns'));
      native().close(pidfd);
      rmSync(folder, { recursive: true });
    }
  });
});
