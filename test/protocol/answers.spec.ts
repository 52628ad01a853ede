// What a handler learns of its answer, and what Kata's reads make of it: bytes whose answer never left are read again.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import type net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { grpc } from '#proto/kata.js';
import { kataHealthMethods } from '../../agent/api/health/kata.ts';
import { stdioMethods } from '../../agent/api/kata/stdio.ts';
import { silentLogger } from '../../agent/log.ts';
import { Budget, TOTAL_LIMIT_BYTES } from '../../agent/process/stream/budget.ts';
import { KernelLog } from '../../agent/process/stream/kernel-log.ts';
import { OutputLog } from '../../agent/process/stream/output-log.ts';
import { Scheduler } from '../../agent/process/stream/scheduler.ts';
import { serve } from '../../agent/rpc/server.ts';
import { methodTable } from '../../agent/rpc/service.ts';
import type { Sandbox } from '../../agent/sandbox/sandbox.ts';
import { dial } from '../../agent/transport/dial.ts';
import { listenUnix } from '../../agent/transport/unix.ts';
import { connectKata } from '../../client/kata/connect.ts';
import { native } from '../../native/index.ts';
import { FixtureServer, until } from './fixture-server.ts';
import { SERVICE } from './fixture-service.ts';
import { request } from './ttrpc-by-hand.ts';

for (const protocol of ['ttrpc', 'grpc'] as const) {
  describe(`an answer by ${protocol}`, () => {
    let fixture: FixtureServer;
    beforeEach(async () => {
      fixture = await FixtureServer.start();
    });
    afterEach(() => fixture.stop());

    it('is told to its handler as sent', async () => {
      const channel = await fixture.channel(protocol);
      await channel.unary(SERVICE, 'Told', Buffer.from('0'));
      await until(() => fixture.seen.told.length > 0, 'the handler to be told');
      assert.deepEqual(fixture.seen.told, [true]);
      channel.close();
    });

    it('is told to its handler as lost when the client has gone before it', async () => {
      const channel = await fixture.channel(protocol);
      const call = channel.unary(SERVICE, 'Told', Buffer.from('100'));
      call.catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, 30));
      channel.close();
      await until(() => fixture.seen.told.length > 0, 'the handler to be told');
      assert.deepEqual(fixture.seen.told, [false]);
    });
  });
}

describe("Kata's reads over a connection that breaks", function () {
  this.timeout(20_000);
  const BYTES = 512 * 1024;

  it('lose nothing of what had not left the agent', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'berth-answers-'));
    const socketPath = path.join(folder, 's');
    const [readEnd, writeEnd] = native().pipe();
    const log = new OutputLog({ store: new KernelLog(readEnd), budget: new Budget(TOTAL_LIMIT_BYTES) });
    const sandbox = { container: () => ({ process: () => ({ stdio: { stdout: log } }) }) } as unknown as Sandbox;
    const methods = [...kataHealthMethods, ...stdioMethods(sandbox, new Scheduler())];
    const server = serve(methodTable(methods), { log: silentLogger });
    const listener = await listenUnix({ kind: 'unix', path: socketPath }, server.accept);
    // Each line tells its own offset.
    const script = `i=0; while [ $i -lt ${BYTES / 8} ]; do printf '%07d\\n' $((i * 8)); i=$((i + 1)); done`;
    const child = native().spawn({ file: '/bin/sh', args: ['sh', '-c', script], env: [], fds: [-1, writeEnd, -1] });
    native().watchChild(child.pidfd, () => native().close(child.pidfd));
    native().close(writeEnd);
    await until(() => log.heldBack, 'the log to be full');

    const broken: net.Socket = await dial({ kind: 'unix', path: socketPath });
    broken.on('error', () => {});
    broken.pause();
    const read = grpc.ReadStreamRequest.encode({ containerId: 'c', execId: '', len: 1 << 20 }).finish();
    for (let id = 1; id < 20; id += 2) broken.write(request(id, 'ReadStdout', read, { service: 'grpc.AgentService' }));
    await new Promise((resolve) => setTimeout(resolve, 200));
    broken.destroy();

    await using client = await connectKata(`unix://${socketPath}`, { protocol: 'ttrpc' });
    const parts: Uint8Array[] = [];
    for (;;) {
      const { data } = await client.kata.readStdout({ containerId: 'c', execId: '', len: 1 << 20 });
      if (data.length === 0) break;
      parts.push(data);
    }
    const text = Buffer.concat(parts).toString();
    const from = BYTES - text.length;
    assert.ok(from < 256 * 1024, `what the broken connection was given is gone up to ${from}`);
    assert.equal(Number(text.slice((8 - (from % 8)) % 8).slice(0, 7)), Math.ceil(from / 8) * 8);
    assert.equal(text.slice(-8), `${String(BYTES - 8).padStart(7, '0')}\n`);

    log.close();
    await listener.close();
    await server.close(0);
    await rm(folder, { recursive: true });
  });
});
