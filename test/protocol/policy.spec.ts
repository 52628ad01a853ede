// The policy before every method that the agent serves, over both protocols.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { berth } from '#proto/berth.js';
import { grpc } from '#proto/kata.js';
import { NEVER_REFUSED } from '../../agent/api/admission/admission.ts';
import { openGuard } from '../../agent/api/admission/open-guard.ts';
import { grpcMethods } from '../../agent/api/grpc-methods.ts';
import { AgentError } from '../../agent/errors.ts';
import { type LogFields, type Logger, silentLogger } from '../../agent/log.ts';
import { type RpcServer, serve } from '../../agent/rpc/server.ts';
import { type Method, methodPath, methodTable } from '../../agent/rpc/service.ts';
import type { Listener } from '../../agent/transport/connection.ts';
import { dial } from '../../agent/transport/dial.ts';
import { listenUnix } from '../../agent/transport/unix.ts';
import { connect } from '../../client/api/guest.ts';
import type { RpcChannel } from '../../client/rpc/channel.ts';
import { GrpcClient } from '../../client/rpc/grpc-client.ts';
import { TtrpcClient } from '../../client/rpc/ttrpc-client.ts';
import { AGENT } from '../../scripts/build/paths.ts';
import { startNativeAgent } from '../support/native-agent.ts';
import { absentMethods } from '../unit/api/admission/absent-methods.ts';

/** Every method there is. */
const served = absentMethods();
const onGrpcOnly = grpcMethods(served);

/** Handlers that only tell that they ran. A stream answers its messages as they come. */
function recording(methods: readonly Method[], ran: string[]): Method[] {
  return methods.map((method): Method => {
    const path = methodPath(method);
    const response = { encode: () => ({ finish: () => Buffer.from([]) }) };
    if (method.kind === 'unary') return { ...method, response, refused: undefined, handle: () => void ran.push(path) };
    if (method.kind === 'duplex') return { ...method, response, handle: async () => void ran.push(path) };
    const handle = async function* (requests: AsyncIterable<unknown>) {
      ran.push(`${path} opened`);
      for await (const _ of requests) {
        ran.push(path);
        yield {};
      }
    };
    return { ...method, response, handle };
  });
}

class PolicyServer implements AsyncDisposable {
  readonly ran: string[] = [];
  readonly lines: { level: string; message: string; fields: LogFields }[] = [];
  readonly #folder: string;
  #server: RpcServer | undefined;
  #listener: Listener | undefined;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async start(policy: string, methods: readonly Method[] = served, extra = onGrpcOnly): Promise<PolicyServer> {
    const started = new PolicyServer(await mkdtemp(join(tmpdir(), 'berth-policy-')));
    const file = join(started.#folder, 'policy.toml');
    await writeFile(file, policy);
    const guard = await openGuard(file, async () => [...methods, ...extra], started.#log());
    started.#server = serve(methodTable(recording(methods, started.ran)), {
      log: silentLogger,
      guard,
      loadGrpcMethods: async () => recording(extra, started.ran),
    });
    started.#listener = await listenUnix({ kind: 'unix', path: join(started.#folder, 's') }, started.#server.accept);
    return started;
  }

  async channel(protocol: 'ttrpc' | 'grpc'): Promise<RpcChannel> {
    const socket = await dial({ kind: 'unix', path: join(this.#folder, 's') });
    return protocol === 'grpc' ? new GrpcClient(socket) : new TtrpcClient(socket);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#listener?.close();
    await this.#server?.close(0);
    await rm(this.#folder, { recursive: true });
  }

  #log(): Logger {
    const at =
      (level: string) =>
      (message: string, fields: LogFields = {}) =>
        void this.lines.push({ level, message, fields });
    return { ...silentLogger, error: at('error'), warn: at('warn'), debug: at('debug'), enabled: () => true };
  }
}

async function outcome(channel: RpcChannel, method: Pick<Method, 'service' | 'name'>, request: Uint8Array): Promise<string> {
  try {
    await channel.unary(method.service, method.name, request, { timeoutMs: 5_000 });
    return 'ok';
  } catch (error) {
    assert.ok(error instanceof AgentError, String(error));
    return `${error.code}: ${error.message}`;
  }
}

const NOTHING = new Uint8Array();
const DENY_ALL = 'version = 1\ndefault = "deny"\n';
const EXEC = grpc.ExecProcessRequest.encode({ containerId: 'db-1', execId: 'e', process: { Args: ['sh', '-c', 'id'] } }).finish();

for (const protocol of ['ttrpc', 'grpc'] as const) {
  describe(`the policy over ${protocol}`, () => {
    const reachable = protocol === 'grpc' ? [...served, ...onGrpcOnly] : served.filter(({ kind }) => kind === 'unary');

    for (const [state, policy, reason] of [
      [
        'that allows nothing',
        DENY_ALL,
        /^permission_denied: \w+ is blocked by policy: (no rule allows \w+|it can't be decided: config.json: )/,
      ],
      [
        'that is broken',
        'version = 1\ndefault = nonsense',
        /^permission_denied: \w+ is blocked by policy: the policy file .* can't be used: not TOML: /,
      ],
    ] as const) {
      it(`${state} stands before every method, health left out`, async () => {
        await using server = await PolicyServer.start(policy);
        const channel = await server.channel(protocol);
        assert.ok(reachable.length >= 45, `${reachable.length} methods`);
        for (const method of reachable) {
          const told = await outcome(channel, method, NOTHING);
          if (NEVER_REFUSED.has(methodPath(method))) assert.equal(told, 'ok', methodPath(method));
          else assert.match(told, reason, methodPath(method));
        }
        const reached = new Set(server.ran.map((line) => line.split(' ')[0]));
        assert.deepEqual(
          [...reached].sort(),
          [...NEVER_REFUSED].filter((path) => reachable.some((method) => methodPath(method) === path)).sort(),
        );
        channel.close();
      });
    }

    it('names rule, field and value to the client, and in one line of the log', async () => {
      const policy =
        'version = 1\ndefault = "allow"\n[[deny]]\nname = "no shell in db"\ncontainers = ["db-*"]\nargs = [["sh", "..."]]';
      await using server = await PolicyServer.start(policy);
      const channel = await server.channel(protocol);
      const exec = { service: 'grpc.AgentService', name: 'ExecProcess' };
      assert.equal(
        await outcome(channel, exec, EXEC),
        'permission_denied: ExecProcessRequest is blocked by policy: rule "no shell in db" denies it: process.Args is ["sh","-c","id"]',
      );
      assert.deepEqual(server.ran, []);
      assert.deepEqual(
        server.lines.filter(({ level }) => level === 'warn').map(({ message, fields }) => ({ message, ...fields })),
        [
          {
            message: 'call denied by policy',
            method: '/grpc.AgentService/ExecProcess',
            client: 'c1',
            peer: 'unix',
            container: 'db-1',
            rule: 'no shell in db',
            reason: 'rule "no shell in db" denies it',
            field: 'process.Args',
            value: '["sh","-c","id"]',
          },
        ],
      );
      assert.equal(
        await outcome(channel, exec, grpc.ExecProcessRequest.encode({ containerId: 'db-1', process: { Args: ['ls'] } }).finish()),
        'ok',
      );
      assert.deepEqual(server.ran, ['/grpc.AgentService/ExecProcess']);
      assert.ok(server.lines.some(({ level, message }) => level === 'debug' && message === 'call allowed by policy'));
      channel.close();
    });

    it('can not be loaded for a method that is misspelt, and then refuses', async () => {
      await using server = await PolicyServer.start('version = 1\ndefault = "allow"\n[[deny]]\nrpcs = ["ExecProces"]');
      const channel = await server.channel(protocol);
      assert.match(
        await outcome(channel, { service: 'grpc.AgentService', name: 'GetMetrics' }, NOTHING),
        /no RPC is named "ExecProces"/,
      );
      assert.ok(server.lines.some(({ level, message }) => level === 'error' && /every call but those of health/.test(message)));
      channel.close();
    });
  });
}

describe('the policy for a stream', () => {
  const attach: Method = {
    kind: 'bidi',
    service: 'berth.v1.Processes',
    name: 'Attach',
    request: berth.v1.AttachRequest,
    response: berth.v1.AttachResponse,
    handle: () => assert.fail('not to be reached'),
  };
  const open = berth.v1.AttachRequest.encode({ open: { ref: { containerId: 'db-1', processId: 'p' } } }).finish();

  it('is asked before the handler sees the first message', async () => {
    await using server = await PolicyServer.start(
      'version = 1\ndefault = "allow"\n[[deny]]\ncontainers = ["db-*"]',
      [attach],
      [],
    );
    const channel = await server.channel('grpc');
    assert.match(
      await outcome(channel, attach, open),
      /^permission_denied: AttachRequest is blocked by policy: rule "deny\[0\]" denies it/,
    );
    assert.deepEqual(server.ran, []);
    channel.close();
  });

  it('keeps an agent from being replaced: whoever may do that runs what they like', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'berth-policy-'));
    const file = join(folder, 'policy.toml');
    await writeFile(
      file,
      'version = 1\ndefault = "allow"\n[[deny]]\nname = "this agent stays"\nrpcs = ["berth.v1.Agent/Upgrade"]',
    );
    await using agent = await startNativeAgent({ BERTH_POLICY_FILE: file }, { restart: true });
    await using guest = await connect(agent.address, { name: 'upgrader' });
    await assert.rejects(guest.upgrade(AGENT), {
      code: 'permission_denied',
      message: 'UpgradeRequest is blocked by policy: rule "this agent stays" denies it',
    });
    assert.deepEqual([(await guest.info()).generation, (await guest.info()).bundle], [1, '']);
    await rm(folder, { recursive: true });
  });
});
