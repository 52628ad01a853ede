// What a call does, the same for both protocols and both ways to reach the agent.
import assert from 'node:assert/strict';
import { AgentError, type Code, hasCode } from '../../agent/errors.ts';
import { MAX_MESSAGE_BYTES } from '../../agent/rpc/limits.ts';
import { kataClient } from '../../client/kata/services.ts';
import type { RpcChannel } from '../../client/rpc/channel.ts';
import { FixtureServer, type Protocol, type Route, until } from './fixture-server.ts';
import { SERVICE } from './fixture-service.ts';

const PROTOCOLS: readonly Protocol[] = ['ttrpc', 'grpc'];
const ROUTES: readonly Route[] = ['unix socket', 'socket pair'];
const NOTHING = new Uint8Array();

for (const protocol of PROTOCOLS) {
  for (const route of ROUTES) {
    describe(`a call by ${protocol} over a ${route}`, () => {
      let fixture: FixtureServer;
      let channel: RpcChannel;

      beforeEach(async () => {
        fixture = await FixtureServer.start();
        channel = await fixture.channel(protocol, route);
      });
      afterEach(async () => {
        channel.close();
        await fixture.stop();
      });

      const call = (method: string, message: string | Uint8Array = NOTHING, options = {}) =>
        channel.unary(SERVICE, method, typeof message === 'string' ? Buffer.from(message) : message, options);
      const failure = async (promise: Promise<unknown>): Promise<AgentError> => {
        const error = await promise.then(
          () => assert.fail('the call succeeded'),
          (reason: unknown) => reason,
        );
        assert.ok(error instanceof AgentError, String(error));
        return error;
      };

      for (const length of [0, 1, 100, 4_095, 4_096, 65_536, 1_000_000, MAX_MESSAGE_BYTES - 64]) {
        it(`carries ${length} bytes there and back`, async () => {
          const bytes = Buffer.alloc(length);
          for (let i = 0; i < length; i++) bytes[i] = (i * 31) & 0xff;
          assert.equal(Buffer.compare(await call('Echo', bytes), bytes), 0);
        });
      }

      it('answers a handler that does not wait', async () => {
        assert.deepEqual(Buffer.from(await call('EchoNow', 'now')).toString(), 'now');
      });

      it('keeps each answer with its call when they end in another order', async () => {
        const delays = [40, 5, 20, 0, 10];
        const answers = await Promise.all(delays.map((ms) => call('Late', String(ms))));
        assert.deepEqual(
          answers.map((answer) => Number(Buffer.from(answer).toString())),
          delays,
        );
      });

      it('answers Check while a thousand calls wait on the same connection', async () => {
        const waiting = Array.from({ length: 1_000 }, () => call('Block').catch((error: unknown) => error));
        await until(() => fixture.seen.blocked === 1_000, 'all calls wait');
        const { status } = await kataClient(channel).health.check({}, { timeoutMs: 1_000 });
        assert.equal(status, 1);
        channel.close();
        for (const error of await Promise.all(waiting)) assert.ok(hasCode(error, 'cancelled'));
      });

      const codes: readonly Code[] = [
        'invalid_argument',
        'not_found',
        'already_exists',
        'failed_precondition',
        'permission_denied',
        'deadline_exceeded',
        'cancelled',
        'resource_exhausted',
        'unimplemented',
        'unavailable',
        'internal',
      ];
      for (const code of codes) {
        it(`carries the code ${code} and its text`, async () => {
          const error = await failure(call('Fail', code));
          assert.deepEqual([error.code, error.message], [code, `told to fail: ${code}`]);
        });
      }

      it('carries a text of any characters', async () => {
        const text = 'mount "/a b": 100% – naïve\n\tsecond line ☃';
        assert.equal((await failure(call('Say', text))).message, text);
      });

      it('cuts a text that no header could carry', async () => {
        const { message } = await failure(call('Say', 'é'.repeat(100_000)));
        assert.match(message, /^é{2000}…$/);
      });

      it('tells nothing of an unforeseen error but logs it', async () => {
        const error = await failure(call('Throw'));
        assert.deepEqual([error.code, error.message], ['internal', 'internal error']);
        const line = fixture.lines.find(({ level }) => level === 'error');
        assert.equal(line?.fields['error'], 'secret detail');
        assert.equal(line?.fields['method'], `/${SERVICE}/Throw`);
      });

      it('refuses a message that can not be decoded and names the method', async () => {
        const error = await failure(call('Strict', Buffer.from([0x0a, 0x7f, 1])));
        assert.equal(error.code, 'invalid_argument');
        assert.match(error.message, /^Strict: malformed request: /);
      });

      it('refuses a string that is not UTF-8', async () => {
        const error = await failure(call('Strict', Buffer.from([0x0a, 2, 0xc3, 0x28])));
        assert.equal(error.code, 'invalid_argument');
      });

      it('turns an answer above the limit into an error and keeps the connection', async () => {
        const error = await failure(call('Zeros', String(MAX_MESSAGE_BYTES + 1)));
        assert.equal(error.code, 'resource_exhausted');
        assert.match(error.message, /4194305 bytes exceed maximum message size of 4194304/);
        assert.equal((await call('Echo', 'still here')).length, 10);
      });

      it('does not send a request above the limit', async () => {
        const error = await failure(call('Echo', Buffer.alloc(MAX_MESSAGE_BYTES + 1)));
        assert.equal(error.code, 'resource_exhausted');
      });

      it('answers unimplemented for a method that does not exist', async () => {
        const error = await failure(call('Missing'));
        assert.equal(error.code, 'unimplemented');
        assert.match(error.message, /Missing/);
      });

      it('tells the handler that its deadline has passed', async () => {
        const error = await failure(call('Block', NOTHING, { timeoutMs: 30 }));
        assert.equal(error.code, 'deadline_exceeded');
        await until(() => fixture.seen.aborts.length === 1, 'the handler is told');
        assert.equal(fixture.seen.aborts[0]?.code, 'deadline_exceeded');
      });

      it('stops waiting when its signal is aborted', async () => {
        const abort = new AbortController();
        const waiting = failure(call('Block', NOTHING, { signal: abort.signal }));
        await until(() => fixture.seen.blocked === 1, 'the call waits');
        abort.abort();
        assert.equal((await waiting).code, 'cancelled');
        assert.equal((await call('Echo', 'ok')).length, 2);
      });

      it('does not start with a signal that is aborted already', async () => {
        const error = await failure(call('Block', NOTHING, { signal: AbortSignal.abort() }));
        assert.equal(error.code, 'cancelled');
        assert.equal(fixture.seen.blocked, 0);
      });

      it('tells the handler when its client has gone', async () => {
        const waiting = failure(call('Block'));
        await until(() => fixture.seen.blocked === 1, 'the call waits');
        channel.close();
        assert.equal((await waiting).code, 'cancelled');
        await until(() => fixture.seen.aborts.length === 1, 'the handler is told');
        assert.equal(fixture.seen.aborts[0]?.code, 'cancelled');
        await until(() => fixture.server.connections === 0, 'the connection is gone');
      });

      it('gives the handler the metadata and who is calling', async () => {
        const answer = await call('Context', NOTHING, { metadata: { traceparent: '00-abc', 'agent-ctl-cfg': 'auto-values' } });
        const metadata = new Map<string, string>(JSON.parse(Buffer.from(answer).toString()));
        assert.equal(metadata.get('traceparent'), '00-abc');
        assert.equal(metadata.get('agent-ctl-cfg'), 'auto-values');
        const { caller } = fixture.seen.calls[0]!;
        assert.equal(caller.protocol, protocol);
        assert.equal(caller.peer, route === 'socket pair' ? 'vsock:2:77' : 'unix');
        assert.match(caller.id, /^c\d+$/);
      });

      it('tells the observer of each call, good or bad', async () => {
        await call('Echo');
        await failure(call('Fail', 'not_found'));
        assert.deepEqual(
          fixture.finished.map(({ method, error }) => [method, error?.code]),
          [
            [`/${SERVICE}/Echo`, undefined],
            [`/${SERVICE}/Fail`, 'not_found'],
          ],
        );
      });

      it('fails calls with a typed error when the agent goes', async () => {
        const waiting = failure(call('Block'));
        await until(() => fixture.seen.blocked === 1, 'the call waits');
        await fixture.server.close(0);
        const { code } = await waiting;
        assert.ok(code === 'unavailable' || code === 'cancelled', code);
        await channel.closed;
        assert.equal((await failure(call('Echo'))).code, 'unavailable');
      });

      it('lets a running call finish when the agent closes with grace', async () => {
        const late = call('Late', '60');
        await call('Echo');
        await fixture.server.close(2_000);
        assert.equal(Buffer.from(await late).toString(), '60');
      });
    });
  }
}
