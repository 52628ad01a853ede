// Both ends of a line in this process, on a socket pair in the place of the line.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode } from '../../../../agent/errors.ts';
import { silentLogger } from '../../../../agent/log.ts';
import { socketFromFd } from '../../../../agent/transport/pipe-handle.ts';
import { openSession } from '../../../../agent/transport/serial/client-link.ts';
import { encodeFrame, FRAME_TYPES, type Frame, FrameReader } from '../../../../agent/transport/serial/frame.ts';
import { ServerLink } from '../../../../agent/transport/serial/server-link.ts';
import { native } from '../../../../native/index.ts';

const never = new AbortController().signal;

/** A line to an agent whose clients all hear each other's answers, as on a line that is shared. */
class SharedLine {
  readonly connections: net.Socket[] = [];
  readonly #line: net.Socket;
  readonly #clients = new Set<net.Socket>();
  readonly #sockets: net.Socket[] = [];
  /** The session that went with the line. */
  lost: bigint | undefined;

  constructor({ window = 65_536, probeMs = 100, lost }: { window?: number; probeMs?: number; lost?: bigint } = {}) {
    const [ours, theirs] = native().socketPair();
    this.#line = this.#own(socketFromFd(ours));
    this.#line.on('data', (chunk) => {
      for (const client of this.#clients) client.write(chunk);
    });
    new ServerLink(socketFromFd(theirs), {
      window,
      probeMs,
      ...(lost === undefined ? {} : { lost }),
      peer: 'serial:test',
      log: silentLogger,
      onConnection: ({ socket }) => this.connections.push(this.#own(socket)),
      onClose: (session) => {
        this.lost = session;
      },
    });
  }

  /** A client's end of the line, and what cuts it off without a word. */
  plug(): { idle: net.Socket; unplug: () => void; left: Promise<unknown> } {
    const [ours, theirs] = native().socketPair();
    const socket = this.#own(socketFromFd(ours));
    this.#clients.add(socket);
    socket.on('data', (chunk) => this.#line.write(chunk));
    const unplug = () => {
      this.#clients.delete(socket);
      socket.destroy();
    };
    return { idle: socketFromFd(theirs), unplug, left: once(socket, 'close') };
  }

  async connect(): Promise<{ client: net.Socket; server: net.Socket; unplug: () => void }> {
    const { idle, unplug } = this.plug();
    const client = this.#own(await openSession(idle, never));
    return { client, server: this.connections.at(-1)!, unplug };
  }

  /** The agent's end sees the line end. */
  cut(): void {
    this.#line.destroy();
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #own(socket: net.Socket): net.Socket {
    socket.on('error', () => {});
    this.#sockets.push(socket);
    return socket;
  }
}

describe('a serial line between a client and an agent', () => {
  let line: SharedLine;

  beforeEach(() => {
    line = new SharedLine();
  });

  afterEach(() => line.close());

  it('carries megabytes both ways at once, each byte once, with a window far smaller', async () => {
    const { client, server } = await line.connect();
    const bytes = Buffer.alloc(4 << 20);
    for (let at = 0; at < bytes.length; at += 4) bytes.writeUInt32LE((at * 2_654_435_761) >>> 0, at);
    const received = async (socket: net.Socket) => Buffer.concat(await socket.toArray());
    client.end(bytes);
    server.end(bytes);
    const [up, down] = await Promise.all([received(server), received(client)]);
    assert.ok(up.equals(bytes));
    assert.ok(down.equals(bytes));
  });

  it('lets a client end its half and still hear the answer', async () => {
    const { client, server } = await line.connect();
    server.allowHalfOpen = true;
    client.end('question');
    assert.equal(Buffer.concat(await server.toArray({ signal: AbortSignal.timeout(5_000) })).toString(), 'question');
    server.end('answer');
    assert.equal(Buffer.concat(await client.toArray()).toString(), 'answer');
  });

  it('holds back a sender whose bytes nobody reads', async () => {
    const { client, server } = await line.connect();
    let sent = 0;
    const more = () => {
      while (sent < 64 << 20) {
        sent += 65_536;
        if (!client.write(Buffer.alloc(65_536))) return;
      }
    };
    client.on('drain', more);
    more();
    await sleep(300);
    const held = sent - client.writableLength;
    assert.ok(held < 4 << 20, `${held} bytes are on their way`);
    let got = 0;
    server.on('data', (chunk: Buffer) => {
      got += chunk.length;
    });
    while (got < 8 << 20) await sleep(10);
  });

  it('tells a second client that it is busy, at once, and leaves the first one alone', async () => {
    const { client, server } = await line.connect();
    await assert.rejects(openSession(line.plug().idle, never), (error) => hasCode(error, 'resource_exhausted'));
    server.on('data', (chunk) => server.write(chunk));
    client.write('still here');
    const [echo] = await once(client, 'data');
    assert.equal(String(echo), 'still here');
    assert.equal(line.connections.length, 1);
  });

  it('is taken over from a client that is gone without a word', async () => {
    const first = await line.connect();
    first.unplug();
    const ended = once(first.server, 'close');
    first.server.resume();
    const second = await line.connect();
    await ended;
    second.server.on('data', (chunk) => second.server.write(chunk));
    second.client.write('next');
    assert.equal(String((await once(second.client, 'data'))[0]), 'next');
  });

  it('is free as soon as the client has closed', async () => {
    for (let turn = 0; turn < 10; turn++) {
      const { client, server } = await line.connect();
      server.on('end', () => server.end()).resume();
      client.end();
      client.resume();
      await once(client, 'close');
    }
    assert.equal(line.connections.length, 10);
  });

  it('is left by a client whose program is gone, though the other side has not ended', async () => {
    const { idle, left } = line.plug();
    const client = await openSession(idle, never);
    const server = line.connections.at(-1)!;
    server.allowHalfOpen = true;
    server.resume();
    client.destroy();
    await once(server, 'end');
    // Half closed it could stay so for ever, and the line with it.
    await left;
    await assert.rejects(new Promise((_, reject) => server.write('answer', reject)), /EPIPE/);
  });

  it('tells a client of a session that is no more, of an agent before this one say, so that it does not wait', async () => {
    const { idle } = line.plug();
    const answer = new Promise<Frame>((resolve) => {
      const reader = new FrameReader(resolve);
      idle.on('data', (chunk) => reader.push(chunk));
    });
    const stale = { session: 99n, sent: 5, taken: 0, payload: Buffer.alloc(0) };
    idle.write(
      Buffer.concat([encodeFrame({ ...stale, type: FRAME_TYPES.ack }), encodeFrame({ ...stale, type: FRAME_TYPES.ping })]),
    );
    const { type, session } = await answer;
    assert.deepEqual([type, session], [FRAME_TYPES.reset, 99n]);
    idle.destroy();
  });

  it('that went and came back tells the client it has lost, which may be the one that is there', async () => {
    const first = new SharedLine();
    await first.connect();
    first.cut();
    while (first.lost === undefined) await sleep(5);
    const again = new SharedLine({ lost: first.lost });
    const { idle } = again.plug();
    const answer = new Promise<Frame>((resolve) => {
      const reader = new FrameReader(resolve);
      idle.on('data', (chunk) => reader.push(chunk));
    });
    const { type, session } = await answer;
    assert.deepEqual([type, session], [FRAME_TYPES.reset, first.lost]);
    again.close();
    first.close();
    idle.destroy();
  });

  it('gives up asking when it is told to, and says what closed the line', async () => {
    const { idle } = line.plug();
    const late = new AbortController();
    const [quiet, other] = native().socketPair();
    const asking = openSession(socketFromFd(quiet), late.signal);
    late.abort(new Error('given up'));
    await assert.rejects(asking, /given up/);
    const closing = openSession(idle, never);
    line.close();
    await assert.rejects(closing, (error) => hasCode(error, 'unavailable'));
    native().close(other);
  });
});
