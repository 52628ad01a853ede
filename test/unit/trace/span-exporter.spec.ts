import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Logger, silentLogger } from '../../../agent/log.ts';
import type { Span } from '../../../agent/trace/span.ts';
import { MAX_QUEUED_SPANS, SpanExporter } from '../../../agent/trace/span-exporter.ts';
import { spanReader } from '../../support/span-reader.ts';

const span = (name: string): Span => ({
  traceId: 1n,
  spanId: 2n,
  parentSpanId: 0n,
  state: [],
  name,
  start: 1n,
  end: 2n,
  attributes: {},
});

describe('the export of spans', () => {
  let directory: string;
  const forwarders: net.Server[] = [];

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'berth-spans-'));
  });
  afterEach(async () => {
    for (const server of forwarders.splice(0)) server.close();
    await rm(directory, { recursive: true });
  });

  const connect = async () => {
    const socket = net.connect(join(directory, 's'));
    await once(socket, 'connect');
    return socket;
  };

  async function forwarder() {
    const names: string[] = [];
    const sockets: net.Socket[] = [];
    const server = net.createServer((socket) => {
      sockets.push(socket);
      const read = spanReader((json) => names.push(String(json['name'])));
      socket.on('data', read).on('error', () => {});
    });
    forwarders.push(server);
    await rm(join(directory, 's'), { force: true });
    await once(server.listen(join(directory, 's')), 'listening');
    return { names, sockets, server };
  }

  async function until(holds: () => boolean): Promise<void> {
    for (let tries = 0; !holds(); tries++) {
      assert.ok(tries < 1000, 'it did not come about');
      await sleep(5);
    }
  }

  it('sends spans in their order, several in one write', async () => {
    const { names } = await forwarder();
    const exporter = new SpanExporter({ connect, log: silentLogger });
    for (let at = 0; at < 200; at++) exporter.export(span(`s${at}`));
    await until(() => names.length === 200);
    assert.deepEqual(
      names,
      Array.from({ length: 200 }, (_, at) => `s${at}`),
    );
    await exporter.close(100);
  });

  it('keeps a bounded many while there is no forwarder, and tells how many it dropped', async () => {
    const warned: unknown[] = [];
    const log: Logger = { ...silentLogger, warn: (message, fields) => void warned.push(message, fields) };
    const exporter = new SpanExporter({ connect, log, firstRetryMs: 20 });
    const before = performance.now();
    for (let at = 0; at < 10_000; at++) exporter.export(span(`s${at}`));
    assert.ok(performance.now() - before < 500);
    assert.equal(exporter.dropped, 10_000 - MAX_QUEUED_SPANS);
    const { names } = await forwarder();
    await until(() => names.length === MAX_QUEUED_SPANS);
    assert.deepEqual(warned, ['spans dropped', { count: 10_000 - MAX_QUEUED_SPANS }]);
    await exporter.close(100);
  });

  it('goes on with a forwarder that came back', async () => {
    const first = await forwarder();
    const exporter = new SpanExporter({ connect, log: silentLogger, firstRetryMs: 20 });
    exporter.export(span('before'));
    await until(() => first.names.length === 1);
    first.server.close();
    for (const socket of first.sockets) socket.destroy();
    await sleep(20);
    exporter.export(span('between'));
    await sleep(300);
    const second = await forwarder();
    await until(() => second.names.length === 1);
    assert.deepEqual(second.names, ['between']);
    await exporter.close(100);
  });

  it('sends what waits when the agent stops', async () => {
    const { names } = await forwarder();
    const exporter = new SpanExporter({ connect, log: silentLogger });
    exporter.export(span('last'));
    await exporter.close(2_000);
    await until(() => names.length === 1);
  });

  it('does not keep the agent from stopping when the forwarder stands still', async () => {
    const { sockets } = await forwarder();
    const exporter = new SpanExporter({ connect, log: silentLogger });
    for (let at = 0; at < MAX_QUEUED_SPANS; at++) exporter.export({ ...span('x'), attributes: { a: 'y'.repeat(2_000) } });
    await until(() => sockets.length === 1);
    sockets[0]!.pause();
    const before = performance.now();
    await exporter.close(200);
    assert.ok(performance.now() - before < 1_500);
    for (const socket of sockets) socket.destroy();
  });
});
