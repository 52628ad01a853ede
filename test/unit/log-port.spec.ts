import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLogPort } from '../../agent/log-port.ts';
import { MAX_PENDING_BYTES } from '../../agent/log-sink.ts';

const lostLine = (count: number) => `lost ${count}`;

describe('the log port', () => {
  let directory: string;
  let server: net.Server;
  let port: ReturnType<typeof createLogPort>;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'berth-log-port-'));
    port = createLogPort(lostLine);
    server = net.createServer({ pauseOnConnect: true }, (socket) => port.accept(socket)).listen(join(directory, 's'));
    await once(server, 'listening');
  });

  afterEach(async () => {
    port.close();
    server.close();
    await rm(directory, { recursive: true });
  });

  async function reader() {
    const socket = net.connect(join(directory, 's'));
    await once(socket, 'connect');
    let text = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    socket.on('error', () => {});
    const until = async (wanted: string) => {
      for (let tries = 0; !text.includes(wanted); tries++) {
        assert.ok(tries < 400, `${JSON.stringify(text.slice(-200))} has no ${wanted}`);
        await sleep(5);
      }
      return text;
    };
    return { socket, until };
  }

  it('gives its first reader what was written before it came', async () => {
    port.write('first');
    port.write('second');
    const { until, socket } = await reader();
    assert.equal(await until('second\n'), 'first\nsecond\n');
    port.write('third');
    await until('third\n');
    socket.destroy();
  });

  it('takes lines without end while nobody reads, keeps a bounded many and tells how many are lost', async () => {
    for (let at = 0; at < 5000; at++) port.write('x'.repeat(1023));
    assert.ok(port.lost > 0 && port.lost < 5000);
    const lost = port.lost;
    const { until, socket } = await reader();
    const text = await until(`lost ${lost}\n`);
    port.write('after');
    const all = await until('after\n');
    assert.ok(text.length > 0 && all.length <= MAX_PENDING_BYTES + 2 * 65_536 + 1024, `${all.length} characters`);
    socket.destroy();
  });

  it('holds up nobody while its reader stands still', async () => {
    const { socket, until } = await reader();
    socket.pause();
    const before = performance.now();
    for (let at = 0; at < 20_000; at++) port.write(`line ${at} ${'y'.repeat(200)}`);
    assert.ok(performance.now() - before < 2_000);
    await sleep(50);
    assert.ok(port.lost > 0, 'a reader that stands still took 4 MB');
    socket.resume();
    const text = await until('line 19999');
    assert.match(text, /lost \d+\n/);
    socket.destroy();
  });

  it('gives the next reader what the one before did not get, no line broken', async () => {
    const first = await reader();
    port.write('seen');
    await first.until('seen\n');
    first.socket.destroy();
    await sleep(20);
    port.write('missed');
    const second = await reader();
    const text = await second.until('missed\n');
    assert.match(text, /^missed\n/);
    second.socket.destroy();
  });

  it('belongs to the newest reader', async () => {
    const first = await reader();
    port.write('one');
    await first.until('one\n');
    const left = once(first.socket, 'close');
    const second = await reader();
    await left;
    port.write('two');
    assert.equal(await second.until('two\n'), 'two\n');
    second.socket.destroy();
  });

  it('gives the next reader the whole of a write that a lost connection cut off', async () => {
    // Takes a write and fails it when the connection is lost, as a socket does.
    let fail = (_error: Error) => {};
    const stuck = new Duplex({
      read() {},
      write(_bytes, _encoding, done) {
        fail = done;
      },
      destroy(error, done) {
        fail(new Error('ECANCELED'));
        done(error);
      },
    });
    port.accept(stuck as net.Socket);
    port.write('cut off');
    const lost = once(stuck, 'close');
    stuck.destroy();
    await lost;
    const { until, socket } = await reader();
    assert.equal(await until('cut off\n'), 'cut off\n');
    assert.equal(port.lost, 0);
    socket.destroy();
  });

  it('does not keep the agent from stopping when nobody reads', async () => {
    port.write('unread');
    const before = performance.now();
    assert.equal(await port.drain(5_000), false);
    assert.ok(performance.now() - before < 1_000);
  });
});
