// fds as sockets. AF_UNIX pairs go through the very wrapper that vsock fds go through; test/vm does it with real ones.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readdir, readlink } from 'node:fs/promises';
import http2 from 'node:http2';
import type net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkPipeHandles, readChunks, socketForHttp2, socketFromFd } from '../../../agent/transport/pipe-handle.ts';
import { native } from '../../../native/index.ts';

describe('a socket made from an fd', () => {
  let ours: net.Socket;
  let theirs: net.Socket;

  beforeEach(() => {
    const [a, b] = native().socketPair();
    ours = socketFromFd(a);
    theirs = socketFromFd(b);
  });
  afterEach(() => {
    ours.destroy();
    theirs.destroy();
  });

  it('is possible with this Node', () => {
    assert.doesNotThrow(checkPipeHandles);
  });

  it('reads nothing before it is asked to', async () => {
    theirs.write('x'.repeat(1000));
    await sleep(20);
    assert.equal(ours.bytesRead, 0);
  });

  it('carries 16 MiB there and back, every byte', async () => {
    const sent = randomBytes(16 * 1024 * 1024);
    theirs.on('data', (chunk) => theirs.write(chunk));
    theirs.on('end', () => theirs.end());
    const hash = createHash('sha256');
    ours.on('data', (chunk) => hash.update(chunk));
    const ended = new Promise((resolve) => ours.once('end', resolve));
    for (let at = 0; at < sent.length; at += 100_000) {
      ours.cork();
      ours.write(sent.subarray(at, at + 10));
      ours.write(sent.subarray(at + 10, at + 100_000));
      ours.uncork();
    }
    // The echo must have come back before our end of the stream does.
    while (ours.bytesRead < sent.length) await sleep(5);
    ours.end();
    await ended;
    assert.equal(hash.digest('hex'), createHash('sha256').update(sent).digest('hex'));
  });

  it('tells a writer to wait, and when to go on', async () => {
    while (ours.write(Buffer.alloc(64 * 1024))) {}
    const drained = new Promise((resolve) => ours.once('drain', resolve));
    theirs.resume();
    await drained;
  });

  it('sees the end when the other side closes', async () => {
    const ended = new Promise((resolve) => ours.once('end', resolve));
    ours.resume();
    theirs.end();
    await ended;
  });

  it('reports a broken peer as EPIPE or ECONNRESET', async () => {
    const broke = new Promise<NodeJS.ErrnoException>((resolve) => ours.once('error', resolve));
    theirs.destroy();
    await sleep(5);
    ours.write('x');
    ours.write('y');
    assert.match(String((await broke).code), /EPIPE|ECONNRESET/);
  });

  it('closes its fd exactly once', async () => {
    const before = await sockets();
    const [a, b] = native().socketPair();
    const one = socketFromFd(a);
    const other = readChunks(socketFromFd(b), () => true);
    assert.equal(await sockets(), before + 2);
    one.destroy();
    other.destroy();
    await sleep(20);
    assert.equal(await sockets(), before);
  });

  describe('read in chunks', () => {
    it('gets every byte, out of memory that is used again', async () => {
      const seen: Buffer[] = [];
      const memory = new Set<ArrayBufferLike>();
      readChunks(ours, (chunk) => {
        memory.add(chunk.buffer);
        seen.push(Buffer.from(chunk));
        return true;
      });
      const sent = randomBytes(1_000_000);
      theirs.end(sent);
      while (Buffer.concat(seen).length < sent.length) await sleep(1);
      assert.equal(Buffer.concat(seen).compare(sent), 0);
      assert.equal(memory.size, 1);
    });

    it('stops when the receiver says so and goes on when resumed', async () => {
      let chunks = 0;
      const reader = readChunks(ours, () => ++chunks !== 1);
      theirs.write('first');
      while (chunks < 1) await sleep(1);
      theirs.write('second');
      await sleep(30);
      assert.equal(chunks, 1);
      reader.resume();
      while (chunks < 2) await sleep(1);
      theirs.write('third');
      while (chunks < 3) await sleep(1);
      reader.destroy();
    });

    it('sees the end', async () => {
      const reader = readChunks(ours, () => true);
      const ended = new Promise((resolve) => reader.once('end', resolve));
      theirs.end('bye');
      await ended;
    });

    it('can be handed to http2 with the bytes that were read put back', async () => {
      const head: Buffer[] = [];
      const reader = readChunks(ours, (chunk) => {
        head.push(Buffer.from(chunk));
        return false;
      });
      const server = http2.createServer((request, response) => request.pipe(response));
      const client = http2.connect('http://x', { createConnection: () => theirs });
      theirs.read(0);
      while (head.length === 0) await sleep(1);
      const plain = socketForHttp2(reader);
      plain.unshift(Buffer.concat(head));
      server.emit('connection', plain);
      const request = client.request({ ':method': 'POST', ':path': '/' });
      const sent = randomBytes(300_000);
      request.end(sent);
      const got: Buffer[] = [];
      for await (const chunk of request) got.push(chunk);
      assert.equal(Buffer.concat(got).compare(sent), 0);
      client.close();
      await new Promise((resolve) => plain.once('close', resolve));
    });

    it('can not be taken from a socket that is closed', () => {
      ours.destroy();
      assert.throws(() => readChunks(ours, () => true), /closed/);
    });
  });
});

async function sockets(): Promise<number> {
  const fds = await readdir('/proc/self/fd');
  const targets = await Promise.all(fds.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')));
  return targets.filter((target) => target.startsWith('socket:')).length;
}
