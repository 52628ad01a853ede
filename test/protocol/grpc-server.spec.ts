// The gRPC side as stock clients see it: grpc-js with its own client, health, reflection, streams, and HTTP/2 that means no good.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import { setTimeout as sleep } from 'node:timers/promises';
import zlib from 'node:zlib';
import * as grpc from '@grpc/grpc-js';
import protobuf from 'protobufjs';
import descriptorSchema from 'protobufjs/google/protobuf/descriptor.json' with { type: 'json' };
import { grpc as health } from '#proto/health.js';
import { grpc as reflection } from '#proto/reflection.js';
import { MAX_GRPC_STREAMS, MAX_MESSAGE_BYTES } from '../../agent/rpc/limits.ts';
import type { Codec } from '../../agent/rpc/service.ts';
import { kataClient } from '../../client/rpc/services.ts';
import { FixtureServer, until } from './fixture-server.ts';
import { SERVICE } from './fixture-service.ts';

const text: Codec<string> = {
  encode: (message) => ({ finish: () => Buffer.from(message) }),
  decode: (bytes) => Buffer.from(bytes).toString(),
};

describe('the gRPC server', () => {
  let fixture: FixtureServer;
  let client: grpc.Client;

  beforeEach(async () => {
    fixture = await FixtureServer.start();
    client = new grpc.Client(`unix:${fixture.path}`, grpc.credentials.createInsecure());
  });
  afterEach(async () => {
    client.close();
    await fixture.stop();
  });

  const encoder =
    <T>(codec: Pick<Codec<T>, 'encode'>) =>
    (message: T) =>
      Buffer.from(codec.encode(message).finish());
  const decoder =
    <T>(codec: Pick<Codec<T>, 'decode'>) =>
    (bytes: Buffer) =>
      codec.decode(bytes);

  function unary<Req, Res>(
    path: string,
    request: Pick<Codec<Req>, 'encode'>,
    response: Pick<Codec<Res>, 'decode'>,
    message: Req,
    options: grpc.CallOptions = {},
  ): Promise<Res> {
    return new Promise((resolve, reject) => {
      client.makeUnaryRequest(path, encoder(request), decoder(response), message, options, (error, result) =>
        error ? reject(error) : resolve(result!),
      );
    });
  }
  const say = (method: string, message: string, options?: grpc.CallOptions) =>
    unary(`/${SERVICE}/${method}`, text, text, message, options);
  const check = async () => {
    const channel = await fixture.channel('grpc');
    assert.equal((await kataClient(channel).health.check({}, { timeoutMs: 2_000 })).status, 1);
    channel.close();
  };

  it('answers a stock client', async () => {
    assert.equal(await say('Echo', 'hello'), 'hello');
    await assert.rejects(say('Fail', 'not_found'), { code: grpc.status.NOT_FOUND, details: 'told to fail: not_found' });
    await assert.rejects(say('Missing', ''), { code: grpc.status.UNIMPLEMENTED });
    await assert.rejects(say('Throw', ''), { code: grpc.status.INTERNAL, details: 'internal error' });
  });

  it('refuses a message above the limit', async () => {
    await assert.rejects(say('Zeros', '0'.repeat(MAX_MESSAGE_BYTES + 1)), { code: grpc.status.RESOURCE_EXHAUSTED });
    assert.equal(await say('Echo', 'still here'), 'still here');
  });

  it('refuses compressed messages, and inflates nothing', async () => {
    const compressed = new grpc.Client(`unix:${fixture.path}`, grpc.credentials.createInsecure(), {
      'grpc.default_compression_algorithm': grpc.compressionAlgorithms.gzip,
    });
    await assert.rejects(
      new Promise((resolve, reject) => {
        compressed.makeUnaryRequest(`/${SERVICE}/Echo`, encoder(text), decoder(text), 'x'.repeat(10_000), (error, result) =>
          error ? reject(error) : resolve(result),
        );
      }),
      { code: grpc.status.UNIMPLEMENTED, details: 'grpc-encoding gzip is not supported' },
    );
    compressed.close();
    assert.deepEqual(fixture.finished, []);
  });

  describe('grpc.health.v1.Health', () => {
    const { HealthCheckRequest, HealthCheckResponse } = health.health.v1;
    const { ServingStatus } = HealthCheckResponse;
    const ask = (service: string) => unary('/grpc.health.v1.Health/Check', HealthCheckRequest, HealthCheckResponse, { service });

    for (const service of ['', 'grpc.AgentService', 'grpc.Health', 'grpc.health.v1.Health']) {
      it(`says that "${service}" serves`, async () => {
        assert.equal((await ask(service)).status, ServingStatus.SERVING);
      });
    }

    it('does not know other services', async () => {
      await assert.rejects(ask('no.Such'), { code: grpc.status.NOT_FOUND });
    });

    for (const { service, status } of [
      { service: '', status: ServingStatus.SERVING },
      { service: 'no.Such', status: ServingStatus.SERVICE_UNKNOWN },
    ]) {
      it(`tells a watcher of "${service}" its state at once and then stays`, async () => {
        const stream = client.makeServerStreamRequest(
          '/grpc.health.v1.Health/Watch',
          encoder(HealthCheckRequest),
          decoder(HealthCheckResponse),
          { service },
        );
        stream.on('error', () => {});
        const [first] = (await once(stream, 'data')) as [health.health.v1.HealthCheckResponse];
        assert.equal(first.status, status);
        const ended = await Promise.race([once(stream, 'end').then(() => 'ended'), sleep(50, 'open')]);
        assert.equal(ended, 'open');
        stream.cancel();
      });
    }
  });

  for (const version of ['v1', 'v1alpha'] as const) {
    describe(`grpc.reflection.${version}`, () => {
      const { ServerReflectionRequest, ServerReflectionResponse } = reflection.reflection[version];
      type Question = reflection.reflection.v1.ServerReflectionRequest.$Properties;

      async function ask(...questions: Question[]) {
        const stream = client.makeBidiStreamRequest(
          `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
          encoder<Question>(ServerReflectionRequest),
          decoder(ServerReflectionResponse),
        );
        for (const question of questions) stream.write(question);
        stream.end();
        const answers = [];
        for await (const answer of stream) answers.push(answer as reflection.reflection.v1.ServerReflectionResponse);
        return answers;
      }

      it('lists the services', async () => {
        const [answer] = await ask({ listServices: '*' });
        const names = answer?.listServicesResponse?.service?.map(({ name }) => name);
        assert.deepEqual(names, [
          'grpc.AgentService',
          'grpc.Health',
          'grpc.reflection.v1.ServerReflection',
          'grpc.reflection.v1alpha.ServerReflection',
        ]);
      });

      it('gives what is needed to make a call: the file of a method and all that it imports', async () => {
        const [answer] = await ask({ fileContainingSymbol: 'grpc.AgentService.CreateContainer' });
        const type = protobuf.Root.fromJSON(descriptorSchema).lookupType('google.protobuf.FileDescriptorProto');
        const files = answer?.fileDescriptorResponse?.fileDescriptorProto?.map(
          (bytes) => type.toObject(type.decode(bytes)) as { name: string; dependency?: string[] },
        );
        const names = files?.map(({ name }) => name) ?? [];
        assert.equal(names[0], 'kata/agent.proto');
        for (const { dependency } of files ?? []) for (const each of dependency ?? []) assert.ok(names.includes(each), each);
      });

      it('answers several questions in order', async () => {
        const answers = await ask(
          { fileByFilename: 'kata/oci.proto' },
          { fileContainingSymbol: 'grpc.VolumeUsage.Unit' },
          { host: 'h' },
        );
        assert.deepEqual(
          answers.map(({ messageResponse }) => messageResponse),
          ['fileDescriptorResponse', 'fileDescriptorResponse', 'errorResponse'],
        );
        assert.equal(answers[2]?.validHost, 'h');
        assert.equal(answers[1]?.originalRequest?.fileContainingSymbol, 'grpc.VolumeUsage.Unit');
      });

      for (const question of [
        { fileByFilename: 'no.proto' },
        { fileContainingSymbol: 'no.Such' },
        { allExtensionNumbersOfType: 'no.Such' },
      ] as Question[]) {
        it(`says NOT_FOUND to ${JSON.stringify(question)}`, async () => {
          const [answer] = await ask(question);
          assert.equal(answer?.errorResponse?.errorCode, grpc.status.NOT_FOUND);
        });
      }

      it('knows no extensions', async () => {
        const [none, missing] = await ask(
          { allExtensionNumbersOfType: 'grpc.Spec' },
          { fileContainingExtension: { containingType: 'grpc.Spec', extensionNumber: 1 } },
        );
        assert.deepEqual(none?.allExtensionNumbersResponse?.extensionNumber, []);
        assert.equal(missing?.errorResponse?.errorCode, grpc.status.NOT_FOUND);
      });
    });
  }

  describe('a stream', () => {
    const count = (n: number) => client.makeServerStreamRequest(`/${SERVICE}/Count`, encoder(text), decoder(text), String(n));

    it('comes whole', async () => {
      let bytes = 0;
      for await (const message of count(50)) bytes += (message as string).length;
      assert.equal(bytes, 50 * 64 * 1024);
    });

    it('is held back by a client that does not read', async () => {
      const stream = count(10_000);
      stream.on('error', () => {});
      await once(stream, 'readable');
      await sleep(300);
      const held = fixture.seen.yielded;
      assert.ok(held < 100, `${held} messages were made for a client that takes none`);
      stream.cancel();
    });

    it('is ended when its client cancels', async () => {
      const stream = count(1_000_000);
      stream.on('error', () => {});
      await once(stream, 'readable');
      stream.cancel();
      await until(() => fixture.seen.aborts.length === 1, 'the handler is told');
      assert.equal(fixture.seen.aborts[0]?.code, 'cancelled');
      const { yielded } = fixture.seen;
      await sleep(50);
      assert.equal(fixture.seen.yielded, yielded);
    });

    it('goes both ways, and fails with its code', async () => {
      const stream = client.makeBidiStreamRequest(`/${SERVICE}/Chat`, encoder(text), decoder(text));
      stream.write('a');
      assert.deepEqual(await once(stream, 'data'), ['a!']);
      stream.write('b');
      assert.deepEqual(await once(stream, 'data'), ['b!']);
      stream.write('fail');
      const [error] = (await new Promise<[grpc.ServiceError]>((resolve) =>
        stream.once('error', (reason) => resolve([reason as grpc.ServiceError])),
      )) as [grpc.ServiceError];
      assert.deepEqual([error.code, error.details], [grpc.status.FAILED_PRECONDITION, 'told to fail']);
    });
  });

  describe('against HTTP/2 that means no good', () => {
    const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    const frame = (type: number, flags: number, streamId: number, payload: Buffer = Buffer.alloc(0)) => {
      const header = Buffer.alloc(9);
      header.writeUIntBE(payload.length, 0, 3);
      header[3] = type;
      header[4] = flags;
      header.writeUInt32BE(streamId, 5);
      return Buffer.concat([header, payload]);
    };
    const settings = frame(4, 0, 0);

    /** Sends until the agent hangs up or there is no more; true when it hung up. */
    async function flood(chunks: Iterable<Buffer>): Promise<boolean> {
      const socket = await fixture.socket();
      let closed = false;
      socket.once('close', () => {
        closed = true;
      });
      socket.resume();
      socket.write(Buffer.concat([PREFACE, settings]));
      for (const chunk of chunks) {
        if (closed) break;
        if (!socket.write(chunk))
          await Promise.race([once(socket, 'drain').catch(() => {}), new Promise((resolve) => socket.once('close', resolve))]);
      }
      await Promise.race([sleep(2_000), new Promise((resolve) => (closed ? resolve(0) : socket.once('close', resolve)))]);
      socket.destroy();
      return closed;
    }
    function* times(count: number, make: (i: number) => Buffer): Generator<Buffer> {
      for (let i = 0; i < count; i++) yield make(i);
    }
    // :method POST, :scheme http (indexed), :path and content-type as literals without indexing (RFC 7541, 6.2.2)
    const literal = (name: string, value: string) =>
      Buffer.concat([Buffer.from([0, name.length]), Buffer.from(name), Buffer.from([value.length]), Buffer.from(value)]);
    const headers = Buffer.concat([
      Buffer.from([0x83, 0x86]),
      literal(':path', `/${SERVICE}/Block`),
      literal('content-type', 'application/grpc'),
    ]);

    it('ends a rapid reset', async () => {
      const reset = (i: number) =>
        Buffer.concat([frame(1, 4, 2 * i + 1, headers), frame(3, 0, 2 * i + 1, Buffer.from([0, 0, 0, 8]))]);
      assert.equal(await flood(times(20_000, reset)), true);
      assert.ok(fixture.seen.blocked < 100, `${fixture.seen.blocked} handlers are left`);
      await check();
    });

    it('goes on serving others through a flood of SETTINGS', async () => {
      await flood(times(20_000, () => settings));
      await check();
    });

    it('goes on serving others through a flood of PINGs', async () => {
      await flood(times(50_000, () => frame(6, 0, 0, Buffer.alloc(8))));
      await check();
    });

    it('ends CONTINUATION without an end', async () => {
      function* endless(): Generator<Buffer> {
        yield frame(1, 0, 1, headers);
        for (let i = 0; i < 5_000; i++) yield frame(9, 0, 1, literal('x', 'y'.repeat(100)));
      }
      assert.equal(await flood(endless()), true);
      await check();
    });

    it('ends an overflow of the window', async () => {
      const update = frame(8, 0, 0, Buffer.from([0x7f, 0xff, 0xff, 0xff]));
      assert.equal(await flood([update, update]), true);
      await check();
    });

    it('survives random frames', async () => {
      let seed = 7;
      const random = (limit: number) => {
        seed = (seed * 1103515245 + 12345) & 0x7fffffff;
        return seed % limit;
      };
      for (let round = 0; round < 40; round++) {
        const socket = await fixture.socket();
        socket.resume();
        socket.write(Buffer.concat([PREFACE, settings]));
        const payload = () => Buffer.from(Array.from({ length: random(40) }, () => random(256)));
        for (let i = 0; i < 20; i++) socket.write(frame(random(12), random(256), random(8), payload()));
        await sleep(2);
        socket.destroy();
      }
      await check();
    });

    it('bounds the calls of one connection', async () => {
      const socket = await fixture.socket();
      const session = http2.connect('http://x', { createConnection: () => socket });
      await once(session, 'remoteSettings');
      assert.equal(session.remoteSettings.maxConcurrentStreams, MAX_GRPC_STREAMS);
      session.destroy();
    });

    it('refuses a gzip bomb unopened', async () => {
      const socket = await fixture.socket();
      const session = http2.connect('http://x', { createConnection: () => socket });
      const bomb = zlib.gzipSync(Buffer.alloc(64 * 1024 * 1024));
      const stream = session.request({
        ':method': 'POST',
        ':path': `/${SERVICE}/Echo`,
        'content-type': 'application/grpc',
        'grpc-encoding': 'gzip',
        te: 'trailers',
      });
      const head = Buffer.alloc(5);
      head[0] = 1;
      head.writeUInt32BE(bomb.length, 1);
      const answered = once(stream, 'response');
      stream.on('error', () => {});
      const before = process.cpuUsage();
      stream.end(Buffer.concat([head, bomb]));
      const [response] = (await answered) as [http2.IncomingHttpHeaders];
      assert.equal(response['grpc-status'], String(grpc.status.UNIMPLEMENTED));
      assert.ok(process.cpuUsage(before).user < 200_000);
      session.destroy();
    });
  });
});
