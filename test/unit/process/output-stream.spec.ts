import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasCode } from '../../../agent/errors.ts';
import { type OnChunk, OutputStream } from '../../../agent/process/output-stream.ts';

describe('the output of a process', () => {
  let directory: string;
  let writer: Socket;
  let stream: OutputStream;
  let close: () => void;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'berth-stream-'));
    const server = createServer({ allowHalfOpen: true }).listen(join(directory, 's'));
    await once(server, 'listening');
    const accepted = once(server, 'connection');
    stream = new OutputStream((onChunk) => readingSocket(join(directory, 's'), onChunk), { limitBytes: 128 * 1024, drainMs: 30 });
    [writer] = (await accepted) as [Socket];
    close = () => {
      stream.close();
      writer.destroy();
      server.close();
    };
  });

  afterEach(async () => {
    close();
    await rm(directory, { recursive: true });
  });

  const read = async (maxBytes: number) => Buffer.from(await stream.read(maxBytes)).toString();

  it('comes in order, in pieces no larger than asked for', async () => {
    writer.write('abcdef');
    assert.equal(await read(4), 'abcd');
    assert.equal(await read(4), 'ef');
  });

  it('waits for bytes, and gives an empty piece at the end and ever after', async () => {
    const waiting = read(10);
    writer.end('x');
    assert.equal(await waiting, 'x');
    assert.equal(await read(10), '');
    assert.equal(await read(10), '');
    assert.equal(stream.consumed, true);
  });

  it('goes to waiting readers first come, first served', async () => {
    const first = read(1);
    const second = read(1);
    writer.write('12');
    assert.deepEqual(await Promise.all([first, second]), ['1', '2']);
  });

  it('is held back at its bound and loses nothing', async () => {
    const sent = Buffer.alloc(4 * 1024 * 1024, 0).map((_, index) => index % 251);
    let flushed = false;
    writer.end(sent, () => {
      flushed = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.equal(flushed, false, 'the writer got rid of 4 MiB that nobody read');
    const parts: Uint8Array[] = [];
    for (let part = await stream.read(1 << 20); part.length > 0; part = await stream.read(1 << 20)) parts.push(part);
    assert.ok(Buffer.concat(parts).equals(sent));
  });

  it('ends after the drain when the process is gone but its child keeps the pipe', async () => {
    writer.write('hi');
    assert.equal(await read(10), 'hi');
    const waiting = read(10);
    stream.processExited();
    assert.equal(await waiting, '');
    assert.equal(await read(10), '');
  });

  it('does not end by the drain while there is something unread', async () => {
    writer.write('late');
    await new Promise((resolve) => setTimeout(resolve, 20));
    stream.processExited();
    await new Promise((resolve) => setTimeout(resolve, 150));
    assert.equal(await read(10), 'late');
    assert.equal(await read(10), '');
  });

  it('keeps its bytes for the next reader when one gives up', async () => {
    const controller = new AbortController();
    const abandoned = stream.read(10, controller.signal);
    controller.abort(new Error('client gone'));
    await assert.rejects(abandoned, /client gone/);
    writer.write('kept');
    assert.equal(await read(10), 'kept');
  });

  it('refuses more waiting reads than its bound, naming the limit', async () => {
    const waiting = Array.from({ length: 64 }, () => stream.read(1));
    await assert.rejects(
      stream.read(1),
      (error) => hasCode(error, 'resource_exhausted') && error.fields['limit'] === 'reads-per-stream',
    );
    stream.close();
    await Promise.all(waiting);
  });
});

function readingSocket(path: string, onChunk: OnChunk): Socket {
  const callback = (bytes: number, buffer: Uint8Array) => onChunk((buffer as Buffer).subarray(0, bytes));
  return connect({ path, onread: { buffer: Buffer.alloc(64 * 1024), callback } });
}
