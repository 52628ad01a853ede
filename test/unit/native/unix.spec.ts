// Unix sockets that carry fds, and the listener for a console socket.
import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { native } from '../../../native/index.ts';
import { assertNoFdLeak, openFds, runNode, systemError, turn } from './fixture.ts';

describe('native Unix sockets', () => {
  let folder = '';
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-unix-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  const withPair = (type: 'stream' | 'seqpacket', body: (a: number, b: number) => void) => {
    const [a, b] = native().socketPair(type);
    try {
      body(a, b);
    } finally {
      for (const fd of [a, b]) native().close(fd);
    }
  };

  it('sends fds that lead to the same open file at the other side', () => {
    const path = join(folder, 'shared');
    writeFileSync(path, 'shared content');
    withPair('stream', (a, b) => {
      const fd = openSync(path, 'r');
      assert.equal(native().sendFds(a, Buffer.from('here'), [fd, fd, fd]), 4);
      closeSync(fd);
      const { data, fds } = native().recvFds(b, 64);
      assert.equal(data.toString(), 'here');
      assert.equal(new Set(fds).size, 3);
      assert.equal(readFileSync(fds[0]!, 'utf8'), 'shared content');
      assert.equal(readFileSync(fds[1]!, 'utf8'), '', 'one file offset for all');
      for (const received of fds) native().close(received);
    });
  });

  it('keeps fds with the message they were sent with', () => {
    withPair('seqpacket', (a, b) => {
      native().sendFds(a, Buffer.from('none'), []);
      native().sendFds(a, Buffer.from('one'), [0]);
      native().sendFds(a, Buffer.from('sixteen'), Array(16).fill(1));
      const counts = [0, 1, 2].map(() => {
        const { fds } = native().recvFds(b, 64);
        for (const fd of fds) native().close(fd);
        return fds.length;
      });
      assert.deepEqual(counts, [0, 1, 16]);
    });
  });

  it('refuses more than 16 fds, and fds without a byte to ride on', () => {
    withPair('stream', (a) => {
      const many = { name: 'TypeError', message: /"fds" argument must be an array of at most 16/ };
      assert.throws(() => native().sendFds(a, Buffer.from('x'), Array(17).fill(0)), many);
      assert.throws(() => native().sendFds(a, Buffer.alloc(0), [0]), { name: 'TypeError', message: /"data"/ });
      assert.throws(() => native().sendFds(a, Buffer.from('x'), [0x7fffffff]), systemError('EBADF', 'sendmsg'));
    });
  });

  it('throws EAGAIN when there is nothing to receive and when there is no room to send', () => {
    withPair('stream', (a, b) => {
      assert.throws(() => native().recvFds(b, 64), systemError('EAGAIN', 'recvmsg'));
      assert.throws(
        () => {
          for (;;) native().sendFds(a, Buffer.alloc(65_536), []);
        },
        systemError('EAGAIN', 'sendmsg'),
      );
    });
  });

  it('gives no bytes when the peer has closed, and EPIPE, not a signal, for sending to it', () => {
    const [a, b] = native().socketPair();
    native().close(a);
    assert.equal(native().recvFds(b, 64).data.length, 0);
    assert.throws(() => native().sendFds(b, Buffer.from('x'), []), systemError('EPIPE', 'sendmsg'));
    native().close(b);
  });

  it('drops a message that is longer than asked for whole, and closes its fds', () => {
    withPair('seqpacket', (a, b) => {
      native().sendFds(a, Buffer.from('too long'), [0, 1, 2]);
      native().sendFds(a, Buffer.from('next'), []);
      const before = openFds().size;
      assert.throws(() => native().recvFds(b, 4), systemError('EMSGSIZE', 'recvmsg'));
      assert.equal(openFds().size, before);
      assert.equal(native().recvFds(b, 4).data.toString(), 'next');
    });
  });

  it('drops a message whose fds find no room, and closes those that did', async () => {
    const script = `
      const [a, b] = addon.socketPair();
      addon.sendFds(a, Buffer.from('x'), [0, 1, 2]);
      const fds = [];
      try { for (;;) fds.push(...addon.pipe()); } catch {}
      try { for (;;) fds.push(addon.pidfdOpen(process.pid)); } catch {}
      addon.close(fds.pop());
      let code;
      try { addon.recvFds(b, 10); } catch (error) { code = error.code; }
      addon.close(addon.pidfdOpen(process.pid)); // throws unless the one place is free again
      process.stdout.write(code);`;
    const { stdout } = await runNode(script, 'ulimit -n 64; exec');
    assert.equal(stdout, 'EMFILE');
  });

  it('listens at a path that only its owner may use, and accepts', async () => {
    const path = join(folder, 'listener');
    const previous = process.umask(0);
    const listener = native().unixListen(path, 8);
    process.umask(previous);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.throws(() => native().unixAccept(listener), systemError('EAGAIN', 'accept4'));

    const ready = new Promise<void>((resolve) => {
      const watch = native().watchReadable(listener, () => {
        watch.close();
        resolve();
      });
    });
    const client = net.connect(path);
    await ready;
    const accepted = native().unixAccept(listener);
    writeSync(accepted, 'hello');
    const [chunk] = (await new Promise((resolve) => client.once('data', (data) => resolve([data])))) as [Buffer];
    assert.equal(chunk.toString(), 'hello');
    client.destroy();
    await turn();
    for (const fd of [accepted, listener]) native().close(fd);
  });

  it('refuses a path too long for a socket address, and one that exists', () => {
    const long = join(folder, 'x'.repeat(108));
    assert.throws(() => native().unixListen(long, 8), systemError('ENAMETOOLONG', 'bind', long));
    const missing = join(folder, 'missing/sock');
    assert.throws(() => native().unixListen(missing, 8), systemError('ENOENT', 'bind', missing));
    assert.throws(() => native().unixListen('', 8), { name: 'TypeError', message: /"path"/ });
  });

  it('keeps no fd of messages passed and closed', async () => {
    await assertNoFdLeak(50, () =>
      withPair('stream', (a, b) => {
        native().sendFds(a, Buffer.from('x'), [0, 1]);
        for (const fd of native().recvFds(b, 8).fds) native().close(fd);
        native().sendFds(a, Buffer.from('never received'), [0, 1]);
      }),
    );
  });
});
