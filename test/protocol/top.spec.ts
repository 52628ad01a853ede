// berth.v1.Agent/Top end to end: the real agent on this machine.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { berth } from '#proto/berth.js';
import { connect, type Guest } from '../../client/api/guest.ts';
import { kataClient } from '../../client/kata/services.ts';
import { openChannel } from '../../client/rpc/open-channel.ts';
import { type NativeTestAgent, startNativeAgent } from '../support/native-agent.ts';
import { processesAt, type TestProcesses } from '../support/processes-client.ts';

type Top = berth.v1.TopResponse;

describe('what the agent tells of itself', function () {
  this.timeout(30_000);
  let agent: NativeTestAgent;
  let guest: Guest;
  let processes: TestProcesses;

  before(async () => {
    agent = await startNativeAgent();
    guest = await connect(agent.address, { name: 'looker' });
    processes = await processesAt(agent.address);
  });
  after(async () => {
    await processes?.[Symbol.asyncDispose]();
    await guest?.close();
    await agent?.[Symbol.asyncDispose]();
  });

  const look = async (): Promise<Top> => {
    for await (const top of guest.top({ intervalMs: 0 })) return top;
    throw new Error('nothing was told');
  };
  const until = async (condition: (top: Top) => boolean): Promise<Top> => {
    for await (const top of guest.top({ intervalMs: 100 })) if (condition(top)) return top;
    throw new Error('nothing more was told');
  };

  it('comes once, or again and again', async () => {
    const once_: Top[] = [];
    for await (const top of guest.top({ intervalMs: 0 })) once_.push(top);
    assert.equal(once_.length, 1);
    const [top] = once_;
    assert.ok(top!.heapBytes > 1_000_000n && top!.residentBytes > top!.heapBytes, `${top!.heapBytes} of ${top!.residentBytes}`);
    assert.ok(top!.loopDelayMaxMs >= 0 && top!.uptimeMs > 0n);
    let count = 0;
    let last = 0n;
    for await (const { uptimeMs } of guest.top({ intervalMs: 100 })) {
      assert.ok(uptimeMs >= last + 90n, `${uptimeMs} after ${last}`);
      last = uptimeMs;
      if (++count === 4) break;
    }
    assert.equal(count, 4);
    for (const intervalMs of [1, 99, 60_001]) {
      await assert.rejects(guest.top({ intervalMs }).next(), { code: 'invalid_argument' });
    }
  });

  it('names its connections of both protocols, with what they wait for', async () => {
    const kata = await openChannel(agent.address, { protocol: 'ttrpc', timeoutMs: 5_000 });
    await kataClient(kata).health.check({});
    const ref = await processes.sh('', 'sleep 1000');
    const waiting = processes.wait({ ref });
    waiting.catch(() => {});
    const { clients } = await until(({ clients }) => clients.some(({ calls }) => calls === 1));
    const looker = clients.find(({ name }) => name === 'looker')!;
    assert.deepEqual([looker.protocol, looker.peer, looker.calls, looker.streams], ['grpc', 'unix', 0, 1]);
    assert.ok((looker.sentBytes ?? 0n) > 100n, `${looker.sentBytes}`);
    const unnamed = clients.find(({ calls }) => calls === 1)!;
    assert.deepEqual([unnamed.protocol, unnamed.name], ['grpc', '']);
    const shim = clients.find(({ protocol }) => protocol === 'ttrpc')!;
    assert.deepEqual([shim.calls, shim.streams], [0, 0]);
    assert.ok((shim.sentBytes ?? 0n) > 0n);
    kata.close();
    await processes.signal({ ref, signal: 9 });
    await waiting;
    await until((top) => top.clients.every(({ calls, protocol }) => calls === 0 && protocol === 'grpc'));
  });

  it('names streams with what they hold, and what each reader waits for', async () => {
    const ref = await processes.sh('', 'yes');
    const lively = await processes.attach({ ref, stdout: { start: true, primary: true, credit: 100_000 } });
    lively.stopReading();
    const of = ({ streams }: Top) => streams.find(({ processId }) => processId === ref.processId);
    // Held back: its primary reader does not acknowledge.
    const stream = of(await until((top) => of(top)?.waitsFor === 'reader'))!;
    assert.deepEqual([stream.containerId, stream.stream], ['', 'stdout']);
    assert.ok((stream.heldBytes ?? 0n) >= 100_000n, `${stream.heldBytes}`);
    const [reader] = stream.readers!;
    assert.deepEqual([reader!.primary, reader!.waitsFor, reader!.offset], [true, 'client', 100_000n]);
    assert.equal(reader!.behindBytes, stream.heldBytes! - 100_000n);
    const top = await look();
    assert.ok(top.logBytes >= stream.heldBytes!);
    assert.ok(top.clients.some(({ id }) => id === reader!.clientId));
    lively.cancel();
    await processes.signal({ ref, signal: 9, scope: berth.v1.SignalRequest.Scope.SCOPE_TREE });
    await processes.wait({ ref });
    // It has left, and what it has not acknowledged is kept for the next one.
    assert.deepEqual([of(await look())?.readers, of(await look())?.waitsFor], [[], 'reader']);
    await processes.forget({ ref });
    assert.equal(of(await look()), undefined);
  });

  it('counts tunnels', async () => {
    const server = net.createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const tunnel = await guest.tunnel({ port: (server.address() as net.AddressInfo).port });
    assert.equal((await look()).tunnels, 1);
    tunnel.destroy();
    await until(({ tunnels }) => tunnels === 0);
    server.close();
  });
});
