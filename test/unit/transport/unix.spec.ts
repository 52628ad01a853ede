// Unix listeners.
import assert from 'node:assert/strict';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import type net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { hasCode } from '../../../agent/errors.ts';
import type { Connection, Listener } from '../../../agent/transport/connection.ts';
import { dial } from '../../../agent/transport/dial.ts';
import { listenUnix } from '../../../agent/transport/unix.ts';
import { native } from '../../../native/index.ts';

describe('a Unix listener', () => {
  let folder: string;
  const listeners: Listener[] = [];
  const sockets: net.Socket[] = [];

  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'berth-unix-'));
  });
  afterEach(async () => {
    for (const listener of listeners.splice(0)) await listener.close();
    for (const socket of sockets.splice(0)) socket.destroy();
    await rm(folder, { recursive: true });
  });

  const listen = async (where: string, onConnection: (connection: Connection) => void = ({ socket }) => sockets.push(socket)) => {
    const listener = await listenUnix({ kind: 'unix', path: where }, onConnection);
    listeners.push(listener);
    return listener;
  };

  for (const { title, where } of [
    { title: 'a path', where: () => path.join(folder, 's') },
    { title: 'an abstract name', where: () => `\0berth-test-${process.pid}` },
  ]) {
    it(`accepts connections on ${title}, with nothing read from them`, async () => {
      const accepted = new Promise<Connection>((resolve) => void listen(where(), resolve));
      await new Promise(setImmediate);
      const client = await dial({ kind: 'unix', path: where() });
      sockets.push(client);
      client.write('hello');
      const { socket, peer } = await accepted;
      sockets.push(socket);
      assert.equal(peer, 'unix');
      assert.equal(socket.bytesRead, 0);
      const chunk = await new Promise<Buffer>((resolve) => {
        socket.once('data', resolve as (chunk: string | Buffer) => void);
        socket.resume();
      });
      assert.equal(chunk.toString(), 'hello');
    });
  }

  it('is for its owner only', async () => {
    await listen(path.join(folder, 's'));
    assert.equal((await stat(path.join(folder, 's'))).mode & 0o777, 0o600);
  });

  it('takes over a socket file that nobody listens on any more', async () => {
    const where = path.join(folder, 's');
    native().close(native().unixListen(where, 1));
    await listen(where);
    (await dial({ kind: 'unix', path: where })).destroy();
  });

  it('leaves a socket alone that somebody listens on', async () => {
    const where = path.join(folder, 's');
    await listen(where);
    await assert.rejects(listen(where), /EADDRINUSE/);
    (await dial({ kind: 'unix', path: where })).destroy();
  });

  it('leaves a file alone that is no socket', async () => {
    const where = path.join(folder, 's');
    await writeFile(where, 'precious');
    await assert.rejects(listen(where), /EADDRINUSE/);
    assert.ok((await stat(where)).isFile());
  });

  it('names the address it could not listen on', async () => {
    await assert.rejects(listen(path.join(folder, 'missing', 's')), (error) => {
      return error instanceof Error && error.message.includes(`unix://${folder}/missing/s`);
    });
  });

  it('accepts nobody once closed', async () => {
    const where = path.join(folder, 's');
    const listener = await listen(where);
    await listener.close();
    await listener.close();
    await assert.rejects(dial({ kind: 'unix', path: where }), (error) => hasCode(error, 'unavailable'));
  });
});
