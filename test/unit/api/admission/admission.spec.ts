import assert from 'node:assert/strict';
import { parse } from 'smol-toml';
import { berth } from '#proto/berth.js';
import { grpc } from '#proto/kata.js';
import { admission } from '../../../../agent/api/admission/admission.ts';
import { hasCode } from '../../../../agent/errors.ts';
import { type LogFields, type Logger, silentLogger } from '../../../../agent/log.ts';
import { BURST_LINES, LINES_PER_SECOND } from '../../../../agent/policy/decision-log.ts';
import { readDocument } from '../../../../agent/policy/document.ts';
import { compilePolicy } from '../../../../agent/policy/policy.ts';
import { guarded } from '../../../../agent/rpc/guard.ts';
import type { AnyDuplexMethod, AnyStreamMethod, CallContext, Method } from '../../../../agent/rpc/service.ts';

const call: CallContext = {
  caller: { id: 'c1', protocol: 'grpc', peer: 'unix' },
  signal: new AbortController().signal,
  metadata: new Map(),
  onAnswered: () => {},
};

function guard(policy: string, log: Logger = silentLogger, now?: () => number) {
  return admission(compilePolicy(readDocument(parse(`version = 1\n${policy}`))), log, now);
}

function exec(handle: (request: unknown) => unknown = () => ({})): Method {
  return {
    kind: 'unary',
    service: 'grpc.AgentService',
    name: 'ExecProcess',
    request: grpc.ExecProcessRequest,
    response: grpc.ExecProcessRequest,
    handle,
  };
}

for (const kind of ['bidi', 'duplex'] as const) {
  describe(`a guarded stream (${kind})`, () => {
    const names = {
      service: 'berth.v1.Processes',
      name: 'Attach',
      request: berth.v1.AttachRequest,
      response: berth.v1.AttachResponse,
    };
    const bidi = (seen: unknown[]): AnyStreamMethod => ({
      ...names,
      kind: 'bidi',
      handle: async function* (requests) {
        seen.push('begun');
        for await (const { message } of requests) {
          seen.push(message);
          yield message;
        }
      },
    });
    const duplex = (seen: unknown[]): AnyDuplexMethod => ({
      ...names,
      kind: 'duplex',
      handle: async ({ requests, send }) => {
        seen.push('begun');
        for await (const { message } of requests) {
          seen.push(message);
          await send(message);
        }
      },
    });
    const send = async (policy: string, messages: berth.v1.AttachRequest.$Properties[]) => {
      const seen: unknown[] = [];
      const method = guarded(kind === 'bidi' ? bidi(seen) : duplex(seen), guard(policy));
      const requests = (async function* () {
        for (const message of messages) yield berth.v1.AttachRequest.decode(berth.v1.AttachRequest.encode(message).finish());
      })();
      const check = (answer: unknown) => assert.equal(answer, seen.at(-1));
      try {
        if (method.kind === 'duplex') await method.handle({ requests, send: async (answer) => check(answer) }, call);
        else if (method.kind === 'bidi') for await (const answer of method.handle(requests, call)) check(answer);
        return { seen, error: undefined };
      } catch (error) {
        return { seen, error: error as Error };
      }
    };
    const open = { open: { ref: { containerId: 'db-1', processId: 'p' } } };
    const resize = (rows: number) => ({ resize: { rows, columns: 80 } });

    it('begins only when its first message has been let in', async () => {
      const { seen, error } = await send('default = "allow"\n[[deny]]\ncontainers = ["db-*"]', [open]);
      assert.deepEqual(seen, []);
      assert.ok(hasCode(error, 'permission_denied'));
    });

    it('is asked of every message, and one that names no container belongs to the container named before', async () => {
      const policy = 'default = "deny"\n[[allow]]\nrpcs = ["Attach"]\ncontainers = ["db-*"]\nfields.resize.rows = [24]';
      const { seen, error } = await send(policy, [open, resize(24), resize(25), resize(24)]);
      assert.deepEqual(seen, ['begun', 'open', 'resize']);
      assert.match(error?.message ?? '', /^AttachRequest is blocked by policy: .*: resize\.rows is 25$/);
      assert.match((await send(policy, [resize(24)])).error?.message ?? '', /no rule allows Attach$/);
    });

    it('of which no message could pass is refused before one is read', async () => {
      const { seen, error } = await send('default = "deny"', []);
      assert.deepEqual(seen, []);
      assert.ok(hasCode(error, 'permission_denied'));
    });
  });
}

describe('a refused call', () => {
  it('is answered by the method itself where it has an answer for that', () => {
    const reached: unknown[] = [];
    const method = guarded(
      { ...exec((request) => reached.push(request)), refused: () => 'blank' } as Method,
      guard('default = "deny"'),
    );
    assert.ok(method.kind === 'unary');
    assert.equal(method.handle(new grpc.ExecProcessRequest(), call), 'blank');
    assert.deepEqual(reached, []);
  });

  it('shows no value of a variable, and no more of a text than its start', () => {
    const method = guarded(exec(), guard('default = "allow"\n[[deny]]\nenv = ["TOKEN"]\n[[deny]]\nargs = [["x**"]]'));
    assert.ok(method.kind === 'unary');
    const refusal = (process: grpc.IProcess) => {
      try {
        method.handle(grpc.ExecProcessRequest.decode(grpc.ExecProcessRequest.encode({ process }).finish()), call);
      } catch (error) {
        return (error as Error).message;
      }
      return '';
    };
    assert.match(refusal({ Env: ['A=1', 'TOKEN=secret'] }), /process\.Env\[1\] is "TOKEN=\.\.\."$/);
    assert.ok(refusal({ Args: ['x'.repeat(5000)] }).length < 300);
  });

  it('whose spec can not be read is refused, not let through', () => {
    const create: Method = {
      ...exec(),
      service: 'berth.v1.Containers',
      name: 'Create',
      request: berth.v1.CreateContainerRequest,
    } as Method;
    const method = guarded(create, guard('default = "allow"\n[[deny]]\nuid = [0]'));
    assert.ok(method.kind === 'unary');
    const make = (specJson: string) => () => method.handle(new berth.v1.CreateContainerRequest({ id: 'a', specJson }), call);
    assert.throws(make('{"process":{"user":{"uid":"0"}}}'), /can't be decided: spec_json\.process\.user\.uid is not a number/);
    assert.throws(make('{'), /can't be decided: config\.json/);
    assert.throws(make('{"process":{}}'), /spec_json\.process\.user\.uid is 0/);
    assert.deepEqual(make('{"process":{"user":{"uid":7}}}')(), {});
  });
});

describe('the decision log', () => {
  it('writes so many lines a second and tells how many it left out', () => {
    let now = 0;
    const lines: LogFields[] = [];
    const log = { ...silentLogger, warn: (_: string, fields: LogFields = {}) => void lines.push(fields) };
    const method = guarded(
      exec(),
      guard('default = "deny"', log, () => now),
    );
    assert.ok(method.kind === 'unary');
    const refuse = (times: number) => {
      for (let time = 0; time < times; time++) assert.throws(() => method.handle(new grpc.ExecProcessRequest(), call));
    };
    refuse(BURST_LINES + 100);
    assert.equal(lines.length, BURST_LINES);
    now += 1000;
    refuse(LINES_PER_SECOND + 5);
    assert.equal(lines.length, BURST_LINES + LINES_PER_SECOND);
    assert.equal(lines[BURST_LINES]?.['suppressed'], 100);
    assert.equal(lines.at(-1)?.['suppressed'], undefined);
  });
});
