// QEMU's protocol against a QEMU that a test plays.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasCode } from '../../../../agent/errors.ts';
import { QmpClient } from '../../../../client/vm/qmp.ts';

describe("QEMU's control socket", () => {
  let folder: string;
  let server: Server;
  let peer: Socket;
  let asked: string[];
  /** What QEMU says to a command besides the capabilities. */
  let answer: (command: string) => object | undefined;
  const say = (...messages: object[]) => peer.write(messages.map((message) => `${JSON.stringify(message)}\r\n`).join(''));
  const path = () => join(folder, 'qmp.sock');

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'berth-qmp-'));
    asked = [];
    answer = () => ({ return: {} });
    server = createServer((socket) => {
      peer = socket;
      say({ QMP: { version: {}, capabilities: [] } });
      socket.on('error', () => {});
      socket.on('data', (data) => {
        for (const line of data.toString().split('\n').filter(Boolean)) {
          const { execute } = JSON.parse(line) as { execute: string };
          asked.push(line);
          const reply = execute === 'qmp_capabilities' ? { return: {} } : answer(execute);
          if (reply !== undefined) say(reply);
        }
      });
    });
    server.listen(path());
    await once(server, 'listening');
  });
  afterEach(async () => {
    server.close();
    peer?.destroy();
    await rm(folder, { recursive: true });
  });

  it('is greeted, and answers commands in their order, whatever events come between', async () => {
    await using client = await QmpClient.connect(path());
    answer = (command) => {
      say({ event: 'NOISE', data: {} });
      return { return: command };
    };
    assert.deepEqual(await Promise.all([client.execute('a', { x: 1 }), client.execute('b')]), ['a', 'b']);
    assert.deepEqual(asked[1], '{"execute":"a","arguments":{"x":1}}');
  });

  it("tells QEMU's refusal with its reason", async () => {
    await using client = await QmpClient.connect(path());
    answer = () => ({ error: { class: 'GenericError', desc: 'Slot 3 is taken' } });
    await assert.rejects(
      client.execute('device_add'),
      (error) => hasCode(error, 'internal') && error.message === 'QEMU refuses device_add: Slot 3 is taken',
    );
  });

  it('gives an event that came before it was asked for, once', async () => {
    await using client = await QmpClient.connect(path());
    say({ event: 'DEVICE_DELETED', data: { device: 'a' } }, { event: 'DEVICE_DELETED', data: { device: 'b' } });
    await client.execute('after');
    await client.event('DEVICE_DELETED', ({ device }) => device === 'b', 5_000);
    await assert.rejects(
      client.event('DEVICE_DELETED', ({ device }) => device === 'b', 20),
      (error) => hasCode(error, 'deadline_exceeded'),
    );
  });

  it('fails what waits for an answer when QEMU ends, and what nobody listens to', async () => {
    await using client = await QmpClient.connect(path());
    answer = () => {
      peer.destroy();
      return undefined;
    };
    await assert.rejects(client.execute('quit'), (error) => hasCode(error, 'unavailable'));
    await assert.rejects(QmpClient.connect(join(folder, 'none')), (error) => hasCode(error, 'unavailable'));
  });
});
