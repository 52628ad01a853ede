// The gRPC side as stock clients see it: grpc-js with its own client, health, reflection and streams.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import * as grpc from '@grpc/grpc-js';
import protobuf from 'protobufjs';
import descriptorSchema from 'protobufjs/google/protobuf/descriptor.json' with { type: 'json' };
import { grpc as health } from '#proto/health.js';
import { grpc as reflection } from '#proto/reflection.js';
import { MAX_GRPC_SESSION_MB, MAX_MESSAGE_BYTES } from '../../agent/rpc/limits.ts';
import type { Codec } from '../../agent/rpc/service.ts';
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

    describe('whose directions are apart', () => {
      const talk = () => client.makeBidiStreamRequest(`/${SERVICE}/Talk`, encoder(text), decoder(text));

      it('answers, and ends when its handler does', async () => {
        const stream = talk();
        stream.write('a');
        assert.deepEqual(await once(stream, 'data'), ['a!']);
        stream.end();
        stream.resume();
        const [status] = (await once(stream, 'status')) as [grpc.StatusObject];
        assert.equal(status.code, grpc.status.OK);
      });

      it('hears a client that has stopped reading', async () => {
        const stream = talk();
        stream.on('error', () => {});
        stream.write('flood');
        await until(() => fixture.seen.yielded > 0, 'the flood began');
        await sleep(50);
        const stalled = fixture.seen.yielded;
        stream.write('still here');
        await until(() => fixture.seen.heard.includes('still here'), 'heard behind the flood');
        // Sockets and HTTP/2 hold some of it, and no more than a session may.
        const held = stalled * 64 * 1024;
        assert.ok(
          fixture.seen.yielded - stalled < 8 && held < MAX_GRPC_SESSION_MB * 1024 * 1024,
          `${stalled}, then ${fixture.seen.yielded} were taken`,
        );
        stream.cancel();
        await until(() => fixture.seen.aborts.length === 1, 'the handler was told');
      });

      it('fails with fields in trailing metadata', async () => {
        const stream = talk();
        stream.write('fail');
        const [error] = (await new Promise<[grpc.ServiceError]>((resolve) =>
          stream.once('error', (reason) => resolve([reason as grpc.ServiceError])),
        )) as [grpc.ServiceError];
        assert.equal(error.code, grpc.status.FAILED_PRECONDITION);
        assert.deepEqual([error.metadata.get('berth-limit'), error.metadata.get('berth-note')], [['talks'], ['\\u00e4"']]);
      });
    });
  });
});
