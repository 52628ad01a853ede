// The guest's end of a tunnel on a socket pair of this machine.
import assert from 'node:assert/strict';
import { GuestSocket, type SocketDoor } from '../../../../agent/guest/tunnel/guest-socket.ts';
import { native } from '../../../../native/index.ts';
import { assertNoFdLeak, turn } from '../../native/fixture.ts';

interface Told {
  written: number;
  ended: (string | undefined)[];
}

function pair(door?: SocketDoor): { socket: GuestSocket; peer: number; told: Told } {
  const [ours, peer] = native().socketPair();
  const told: Told = { written: 0, ended: [] };
  const events = {
    written: (bytes: number) => {
      told.written += bytes;
    },
    writesEnded: (errno: string | undefined) => void told.ended.push(errno),
  };
  return { socket: new GuestSocket(ours, events, door), peer, told };
}

const receive = (fd: number, bytes = 64 * 1024): string => {
  const buffer = Buffer.alloc(bytes);
  return buffer.toString('utf8', 0, Math.max(0, native().receive(fd, buffer)));
};

describe('the socket at the end of a tunnel', () => {
  it('leaves what is not asked for with the kernel, and gives it behind room for a header', async () => {
    const { socket, peer } = pair();
    assert.equal(socket.read(10, 4), undefined);
    const readable = socket.readable();
    native().transmit(peer, Buffer.from('hello world'));
    await readable;
    const data = socket.read(5, 4);
    assert.ok(Buffer.isBuffer(data));
    assert.equal(data.toString(), 'hello');
    assert.ok(data.byteOffset >= 4 || data.buffer.byteLength > data.length);
    await socket.readable();
    assert.equal(socket.read(100, 0)?.toString(), ' world');
    native().shutdownWrites(peer);
    await socket.readable();
    assert.equal(socket.read(100, 0), 'end');
    socket.close({ reset: false });
    native().close(peer);
  });

  it('keeps what can not be written yet, and tells what has been', async () => {
    const { socket, peer, told } = pair();
    const block = Buffer.alloc(64 * 1024, 'x');
    for (let count = 0; count < 32; count++) socket.write(block);
    const taken = told.written;
    assert.ok(taken > 0 && taken < 32 * block.length, `${taken}`);
    socket.end();
    let got = 0;
    for (let idle = 0; idle < 1000 && told.ended.length === 0; idle++) {
      got += receive(peer, 1024 * 1024).length;
      await turn();
    }
    for (let more = receive(peer); more !== ''; more = receive(peer)) got += more.length;
    assert.deepEqual([got, told.written, told.ended], [32 * block.length, 32 * block.length, [undefined]]);
    socket.close({ reset: false });
    native().close(peer);
  });

  it('joins many small pieces that wait, in order', async () => {
    const { socket, peer, told } = pair();
    // Full first, so that what follows waits.
    const filling = Buffer.alloc(1024 * 1024, '-');
    socket.write(filling);
    const sent = Array.from({ length: 1000 }, (_, at) => `${at},`);
    for (const piece of sent) socket.write(Buffer.from(piece));
    socket.end();
    let text = '';
    for (let idle = 0; idle < 1000 && told.ended.length === 0; idle++) {
      text += receive(peer, 1024 * 1024);
      await turn();
    }
    text += receive(peer);
    assert.equal(text.slice(filling.length), sent.join(''));
    socket.close({ reset: false });
    native().close(peer);
  });

  it('can still be read when the other side takes no more', async () => {
    const { socket, peer, told } = pair();
    native().transmit(peer, Buffer.from('last words'));
    native().close(peer);
    socket.write(Buffer.from('x'));
    assert.deepEqual(told.ended, ['EPIPE']);
    socket.write(Buffer.from('ignored'));
    socket.end();
    await socket.readable();
    assert.equal(socket.read(100, 0)?.toString(), 'last words');
    assert.equal(socket.read(100, 0), 'end');
    assert.deepEqual(told.ended, ['EPIPE']);
    socket.close({ reset: false });
  });

  it('wakes who waits when it is closed, tells nothing more, and keeps no descriptor', async () => {
    await assertNoFdLeak(3, async () => {
      const { socket, peer, told } = pair();
      const readable = socket.readable();
      socket.write(Buffer.alloc(1024 * 1024));
      const before = told.written;
      socket.close({ reset: true });
      socket.close({ reset: true });
      await readable;
      while (receive(peer) !== '');
      await turn();
      assert.equal(told.written, before);
      native().close(peer);
      await turn();
    });
  });
});
