// What one gRPC client can make the agent hold, and that it has a bound that is named.
import assert from 'node:assert/strict';
import { hasCode } from '../../agent/errors.ts';
import { MAX_GRPC_CALLS_PER_CONNECTION, MAX_MESSAGE_BYTES, MAX_REQUEST_BYTES_PER_CONNECTION } from '../../agent/rpc/limits.ts';
import { kataClient } from '../../client/kata/services.ts';
import type { RpcChannel } from '../../client/rpc/channel.ts';
import { FixtureServer, until } from './fixture-server.ts';
import { SERVICE } from './fixture-service.ts';

describe('the bounds of a gRPC connection', () => {
  let fixture: FixtureServer;
  let channel: RpcChannel;
  let controller: AbortController;

  beforeEach(async () => {
    fixture = await FixtureServer.start();
    channel = await fixture.channel('grpc');
    controller = new AbortController();
  });
  afterEach(() => fixture.stop());

  const block = (request = new Uint8Array()) => {
    const call = channel.unary(SERVICE, 'Block', request, { signal: controller.signal });
    call.catch(() => {});
    return call;
  };
  const over = (limit: string) => (error: unknown) => hasCode(error, 'resource_exhausted') && String(error).includes(limit);
  const check = async (on: RpcChannel) => assert.equal((await kataClient(on).health.check({})).status, 1);

  it('bounds the calls that wait, lets Check in all the same, and is the bound of that client alone', async () => {
    for (let call = 0; call < MAX_GRPC_CALLS_PER_CONNECTION; call++) void block();
    await until(() => fixture.seen.blocked === MAX_GRPC_CALLS_PER_CONNECTION, 'the calls wait');
    await assert.rejects(block(), over(`limit of ${MAX_GRPC_CALLS_PER_CONNECTION} calls-in-flight`));
    await check(channel);
    const other = await fixture.channel('grpc');
    assert.equal((await other.unary(SERVICE, 'Echo', Buffer.from('x'))).length, 1);
    controller.abort();
    await until(() => fixture.seen.blocked === 0, 'they have ended');
    assert.equal((await channel.unary(SERVICE, 'Echo', Buffer.from('x'))).length, 1);
  });

  it('bounds the bytes that waiting calls hold, and gives them free again', async () => {
    const big = Buffer.alloc(MAX_MESSAGE_BYTES - 100);
    const room = Math.floor(MAX_REQUEST_BYTES_PER_CONNECTION / big.length);
    for (let call = 0; call < room; call++) void block(big);
    await until(() => fixture.seen.blocked === room, 'the calls wait');
    await assert.rejects(block(big), over(`limit of ${MAX_REQUEST_BYTES_PER_CONNECTION} request-bytes-in-flight`));
    await check(channel);
    controller.abort();
    await until(() => fixture.seen.blocked === 0, 'they have ended');
    assert.equal((await channel.unary(SERVICE, 'Echo', big)).length, big.length);
  });
});
