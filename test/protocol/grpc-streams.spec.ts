import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode, isAgentError } from '../../agent/errors.ts';
import type { RpcChannel, RpcStream } from '../../client/rpc/channel.ts';
import { MessageReader, withPrefix } from '../../client/rpc/grpc-frames.ts';
import { FixtureServer } from './fixture-server.ts';
import { SERVICE } from './fixture-service.ts';

const bytes = (text: string) => Buffer.from(text);
const texts = async (stream: RpcStream) => (await Array.fromAsync(stream)).map((message) => Buffer.from(message).toString());

describe("the client's gRPC streams", () => {
  let fixture: FixtureServer;
  let channel: RpcChannel;

  before(async () => {
    fixture = await FixtureServer.start();
  });
  after(() => fixture.stop());
  beforeEach(async () => {
    channel = await fixture.channel('grpc');
  });
  afterEach(() => channel.close());

  it('send and receive in turn, and end when both sides have', async () => {
    const stream = channel.stream(SERVICE, 'Chat');
    const answers = stream[Symbol.asyncIterator]();
    for (const line of ['a', 'b']) {
      await stream.send(bytes(line));
      assert.equal(Buffer.from((await answers.next()).value!).toString(), `${line}!`);
    }
    stream.end();
    assert.equal((await answers.next()).done, true);
  });

  it('give the error of the agent with the fields it tells', async () => {
    const stream = channel.stream(SERVICE, 'Talk');
    await stream.send(bytes('fail'));
    await assert.rejects(texts(stream), (error) => {
      assert.ok(isAgentError(error));
      assert.deepEqual([error.code, error.message, error.fields['limit']], ['failed_precondition', 'told to fail', 'talks']);
      return true;
    });
  });

  it('hold the agent back while nobody reads', async () => {
    const stream = channel.stream(SERVICE, 'Count');
    await stream.send(bytes('1000'));
    stream.end();
    await sleep(100);
    const before = fixture.seen.yielded;
    await sleep(200);
    assert.equal(fixture.seen.yielded, before);
    assert.ok(before < 500, `${before} messages of 64 KiB were taken though nobody reads`);
    assert.equal((await texts(stream)).length, 1000);
  });

  it('are cancelled by their reader leaving, and the agent learns of it', async () => {
    const stream = channel.stream(SERVICE, 'Count');
    await stream.send(bytes('1000000'));
    stream.end();
    const aborts = fixture.seen.aborts.length;
    for await (const message of stream) {
      assert.equal(message.length, 64 * 1024);
      break;
    }
    while (fixture.seen.aborts.length === aborts) await sleep(5);
  });

  it('are cancelled by their signal', async () => {
    const controller = new AbortController();
    const stream = channel.stream(SERVICE, 'Chat', { signal: controller.signal });
    setTimeout(() => controller.abort(), 20);
    await assert.rejects(texts(stream), (error) => hasCode(error, 'cancelled'));
    await assert.rejects(stream.send(bytes('late')), (error) => hasCode(error, 'cancelled'));
  });

  it('fail as unavailable when the connection is lost', async () => {
    const lost = await fixture.channel('grpc');
    const stream = lost.stream(SERVICE, 'Chat');
    const reading = texts(stream);
    await stream.send(bytes('a'));
    setTimeout(() => lost.close(), 20);
    await assert.rejects(reading, (error) => hasCode(error, 'cancelled'));
    assert.throws(
      () => lost.stream(SERVICE, 'Chat'),
      (error) => hasCode(error, 'cancelled'),
    );
  });

  it('do not exist on ttrpc', async () => {
    const ttrpc = await fixture.channel('ttrpc');
    assert.throws(
      () => ttrpc.stream(SERVICE, 'Chat'),
      (error) => hasCode(error, 'unimplemented'),
    );
    ttrpc.close();
  });
});

describe('messages of gRPC', () => {
  it('come out whole and in order however the bytes are cut', () => {
    const sent = ['', 'a', 'b'.repeat(100_000), 'c'];
    const wire = Buffer.concat(sent.map((text) => withPrefix(bytes(text))));
    for (const size of [1, 3, 5, 7, 4096, wire.length]) {
      const reader = new MessageReader();
      const got: string[] = [];
      for (let at = 0; at < wire.length; at += size)
        got.push(...reader.push(wire.subarray(at, at + size)).map((message) => message.toString()));
      assert.deepEqual(got, sent);
      assert.ok(reader.empty);
    }
  });

  it('are refused when compressed or too large', () => {
    assert.throws(
      () => new MessageReader().push(Buffer.from([1, 0, 0, 0, 0])),
      (error) => hasCode(error, 'internal'),
    );
    assert.throws(
      () => new MessageReader().push(Buffer.from([0, 255, 0, 0, 0])),
      (error) => hasCode(error, 'resource_exhausted'),
    );
  });
});
