// vsockConnect over the stand-in for AF_VSOCK: success, refusal, the time limit; and what real AF_VSOCK says here.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { native } from '../../../native/index.ts';
import { assertNoFdLeak, systemError } from './fixture.ts';
import { compilePreload, freePort, VsockNode } from './vsock-over-tcp.ts';

describe('native vsockConnect', function () {
  this.timeout(60_000); // starts Nodes, slow on a busy machine
  let folder = '';
  let library = '';
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-connect-'));
    library = compilePreload(folder);
  });
  after(() => rmSync(folder, { recursive: true }));

  /** Runs `body` under the stand-in and gives what it logs. */
  const under = async <T>(body: string): Promise<T> => {
    const table = `const table = () => process.getBuiltinModule('node:fs').readdirSync('/proc/self/fd').length;`;
    const node = new VsockNode(library, `${table}\n${body}`);
    const result = await node.next<T>();
    assert.equal(await node.end(), 0);
    return result;
  };

  it('gives a connected, non-blocking, close-on-exec fd and its peer', async () => {
    const server = net.createServer((socket) => socket.end('greetings')).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as net.AddressInfo;
    const result = await under(`
      const fd = await addon.vsockConnect(1, ${port}, 5000);
      const fs = await import('node:fs');
      const flags = parseInt(/flags:\\s*(\\d+)/.exec(fs.readFileSync('/proc/self/fdinfo/' + fd, 'utf8'))[1], 8) & 0o2004000;
      const peer = addon.vsockPeer(fd);
      let text = '';
      await new Promise((resolve) => {
        const watch = addon.watchReadable(fd, () => { const b = Buffer.alloc(64); const n = fs.readSync(fd, b); text += b.toString('utf8', 0, n); if (n === 0) { watch.close(); resolve(); } });
      });
      addon.close(fd);
      console.log(JSON.stringify({ flags, peer, text }));`);
    assert.deepEqual(result, { flags: 0o2004000, peer: { cid: 1, port }, text: 'greetings' });
    server.close();
  });

  it('rejects with the reason when nobody listens, and keeps no fd', async () => {
    const port = await freePort();
    const result = await under(`
      await addon.vsockConnect(1, ${port}, 5000).catch(() => {});
      const before = table();
      const error = await addon.vsockConnect(1, ${port}, 5000).catch((error) => error);
      await new Promise(setImmediate);
      console.log(JSON.stringify({ code: error.code, syscall: error.syscall, left: table() - before }));`);
    assert.deepEqual(result, { code: 'ECONNREFUSED', syscall: 'connect', left: 0 });
  });

  it('rejects with ETIMEDOUT after the time given, and keeps no fd', async () => {
    // A listener whose queue is full drops what comes next.
    const port = await freePort();
    const told = await under<{ codes: string[]; ms: number; left: number }>(`
      const listenFd = addon.vsockListen(1, ${port}, 0);
      const before = table();
      const started = performance.now();
      const ends = await Promise.allSettled(Array.from({ length: 8 }, () => addon.vsockConnect(1, ${port}, 300)));
      const ms = performance.now() - started;
      for (const end of ends) if (end.status === 'fulfilled') addon.close(end.value);
      await new Promise(setImmediate);
      const codes = ends.filter((end) => end.status === 'rejected').map((end) => end.reason.code);
      console.log(JSON.stringify({ codes, ms, left: table() - before }));
      addon.close(listenFd);`);
    assert.ok(told.codes.length >= 5 && told.codes.every((code) => code === 'ETIMEDOUT'), told.codes.join());
    assert.ok(told.ms >= 295 && told.ms < 2000, `${told.ms} ms`);
    assert.equal(told.left, 0);
  });

  it('rejects, and does not throw, for arguments of the wrong kind', async () => {
    await assert.rejects(native().vsockConnect('2' as never, 1024, 100), { name: 'TypeError', message: /"cid"/ });
    await assert.rejects(native().vsockConnect(2, 2 ** 32, 100), { name: 'TypeError', message: /"port"/ });
    await assert.rejects(native().vsockConnect(2, 1024, -1), { name: 'TypeError', message: /"timeoutMs"/ });
  });

  it('rejects within the time limit for a CID that nobody has', async () => {
    await assertNoFdLeak(2, async () => {
      const error = await native()
        .vsockConnect(0x7ffffff0, 1, 200)
        .then(
          () => assert.fail('connected'),
          (reason: NodeJS.ErrnoException) => reason,
        );
      // Which one depends on the machine's transport: none, one that refuses, one that never answers.
      assert.ok(
        ['EAFNOSUPPORT', 'ENODEV', 'ENETUNREACH', 'ECONNRESET', 'ETIMEDOUT', 'EHOSTUNREACH'].includes(error.code ?? ''),
        error.code,
      );
    });
  });
});

describe('native vsock addresses', () => {
  it('refuses a listener for an address that is taken or not ours', async () => {
    const addon = native();
    let listenFd: number;
    try {
      listenFd = addon.vsockListen(0xffffffff, 54_322, 1);
    } catch (error) {
      return systemError('EAFNOSUPPORT', 'socket')(error);
    }
    assert.throws(() => addon.vsockListen(0xffffffff, 54_322, 1), systemError('EADDRINUSE', 'bind'));
    assert.throws(() => addon.vsockListen(0x7ffffff0, 54_323, 1), systemError('EADDRNOTAVAIL', 'bind'));
    assert.throws(() => addon.vsockPeer(listenFd), systemError('ENOTCONN', 'getpeername'));
    assert.equal(addon.vsockLocal(listenFd).port, 54_322);
    addon.close(listenFd);
  });

  it('says that a Unix socket has no vsock peer', () => {
    const [a, b] = native().socketPair();
    assert.throws(() => native().vsockPeer(a), systemError('EAFNOSUPPORT', 'getpeername'));
    assert.throws(() => native().vsockLocal(a), systemError('EAFNOSUPPORT', 'getsockname'));
    for (const fd of [a, b]) native().close(fd);
    const [readEnd, writeEnd] = native().pipe();
    assert.throws(() => native().vsockPeer(readEnd), systemError('ENOTSOCK', 'getpeername'));
    for (const fd of [readEnd, writeEnd]) native().close(fd);
  });

  it('refuses to accept on what is no listening vsock socket', () => {
    const [a, b] = native().socketPair();
    assert.throws(() => native().vsockAccept(a, 2, () => {}), systemError('EAFNOSUPPORT', 'getsockopt'));
    for (const fd of [a, b]) native().close(fd);
    const [readEnd, writeEnd] = native().pipe();
    assert.throws(() => native().vsockAccept(readEnd, 2, () => {}), systemError('ENOTSOCK', 'getsockopt'));
    for (const fd of [readEnd, writeEnd]) native().close(fd);
  });

  it('knows the own CID, or says that there is no vsock', () => {
    let cid: number;
    try {
      cid = native().vsockLocalCid();
    } catch (error) {
      assert.ok(['ENOENT', 'ENODEV', 'ENXIO', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? ''));
      return;
    }
    assert.ok(Number.isInteger(cid) && cid >= 0 && cid <= 0xffffffff);
  });
});
