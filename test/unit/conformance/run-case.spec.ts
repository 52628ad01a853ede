// The runner of the conformance table against a fake agent: a case that holds, and what it says of each kind that does not.
import assert from 'node:assert/strict';
import type { ConformanceCase, Step } from '../../conformance/case.ts';
import { CaseFailure, runCase } from '../../conformance/runner/run-case.ts';
import { Session } from '../../conformance/runner/session.ts';
import { type ServedFakeAgent, serveFakeAgent } from '../../support/fake-agent-server.ts';

const create: Step = { use: 'created', with: { args: ['sh', '-c', 'read x; echo got $x; exit 3'] } };
const rest = (text: string, status: number): readonly Step[] => [
  { call: 'StartContainer', request: { container_id: '%{id}' } },
  { call: 'WaitProcess', request: { container_id: '%{id}', exec_id: '' }, later: 'exit' },
  { pending: 'exit' },
  { call: 'WriteStdin', request: { container_id: '%{id}', exec_id: '', data: 'it\n' }, reply: { len: 3 } },
  { collect: 'stdout', container: '%{id}', text },
  { join: 'exit', reply: { status } },
];

for (const protocol of ['ttrpc', 'grpc'] as const) {
  describe(`the conformance runner over ${protocol}`, () => {
    let served: ServedFakeAgent;
    let session: Session;
    before(async () => {
      served = await serveFakeAgent();
      session = new Session({ address: served.address, protocol });
    });
    after(async () => {
      await session[Symbol.asyncDispose]();
      await served.close();
    });

    // `alone`: this machine is busy with other things, so that what is there before and after would differ.
    const run = (id: string, steps: readonly Step[], more: Partial<ConformanceCase> = {}) =>
      runCase(session, { id, rpc: 'Check', kind: 'normal', alone: true, steps, ...more });
    const fails = (id: string, steps: readonly Step[], text: RegExp) =>
      assert.rejects(run(id, steps), (error) => {
        assert.ok(error instanceof CaseFailure && error.message.includes(`${id} over ${protocol}`), String(error));
        assert.match(error.message, text);
        return true;
      });

    it('holds a case that is as it says, and removes its containers', async () => {
      await run('x/good', [create, ...rest('got it\n', 3)]);
      assert.deepEqual([...served.fake.containers.keys()], []);
    });

    it('removes its containers after a case that failed, too', async () => {
      await fails('x/bad', [create, { call: 'Check', reply: { status: 2 } }], /reply\.status: 2 is wanted, found 1/);
      assert.deepEqual([...served.fake.containers.keys()], []);
    });

    it('says which step has another answer, text or status', async () => {
      await fails(
        'x/text',
        [create, ...rest('got that\n', 3)],
        /step 6 \(collect stdout\).*"got that\\n" is wanted, found "got it\\n"/s,
      );
      await fails('x/status', [create, ...rest('got it\n', 4)], /step 7 \(join exit\).*reply\.status: 4 is wanted, found 3/s);
    });

    it('wants a refusal to be one, by code and text', async () => {
      const wait: Step = { call: 'WaitProcess', request: { container_id: 'nobody', exec_id: '' } };
      await fails('x/refused', [wait], /WaitProcess failed with/);
      await fails('x/code', [{ ...wait, fails: { code: 'UNAVAILABLE' } }], /UNAVAILABLE .* is wanted/);
      await fails(
        'x/words',
        [{ ...wait, fails: { code: ['NOT_FOUND', 'INVALID_ARGUMENT', 'INTERNAL'], text: 'zebra' } }],
        /zebra/,
      );
      await fails('x/taken', [{ call: 'Check', fails: { code: 'INTERNAL' } }], /Check succeeded, and had to fail/);
    });

    it('does not take an answer for none', async () => {
      await fails('x/pending', [{ call: 'Check', later: 'early' }, { pending: 'early' }], /has its answer already/);
    });

    it('runs what undoes a case even after it failed', async () => {
      const undo: Step = { call: 'Check', reply: { status: 9 } };
      await assert.rejects(
        run('x/undo', [{ call: 'Check', reply: { status: 2 } }], { finally: [undo] }),
        /status: 2 .*clean up: .*status: 9/s,
      );
    });
  });
}
