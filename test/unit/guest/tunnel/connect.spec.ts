import assert from 'node:assert/strict';
import { AgentError, hasCode } from '../../../../agent/errors.ts';
import { type ConnectDoor, connectTarget, type TunnelTarget } from '../../../../agent/guest/tunnel/connect.ts';

const ABSTRACT: TunnelTarget = { kind: 'unix', path: '@name' };
const TARGETS: readonly TunnelTarget[] = [
  { kind: 'tcp', host: '127.0.0.1', port: 80 },
  { kind: 'unix', path: '/run/socket' },
  ABSTRACT,
];
const { signal } = new AbortController();

const failing = (code: string) => async (): Promise<never> => {
  throw Object.assign(new Error(code), { code });
};
const door = (verbs: Partial<ConnectDoor>): ConnectDoor => ({
  socketIn: async () => 70,
  openInProcess: async () => 71,
  connectSocket: async () => 72,
  close: () => {},
  ...verbs,
});
const ended = (error: unknown) => hasCode(error, 'failed_precondition') && error.fields.container === 'web';

describe('connecting in a container', () => {
  for (const target of TARGETS) {
    const name = target.kind === 'tcp' ? 'a port' : target.path;

    it(`is refused for ${name} once the container has ended, without entering anything`, async () => {
      const process = { identity: { containerId: 'web' }, pidfd: undefined };
      const closed = door({ socketIn: failing('EBADF'), openInProcess: failing('EBADF') });
      await assert.rejects(connectTarget(target, { process, timeoutMs: 1000, signal, door: closed }), ended);
    });

    it(`is refused for ${name} in the same way while the end is yet to be heard of`, async () => {
      const process = { identity: { containerId: 'web' }, pidfd: 9 };
      const left = door({ socketIn: failing('ESRCH'), openInProcess: failing('ESRCH') });
      await assert.rejects(connectTarget(target, { process, timeoutMs: 1000, signal, door: left }), ended);
    });
  }

  it('does not enter by a number that was closed while the listener was full', async () => {
    const process: { identity: { containerId: string }; pidfd: number | undefined } = {
      identity: { containerId: 'web' },
      pidfd: 9,
    };
    const entered: unknown[] = [];
    const full = door({
      socketIn: async (pidfd) => entered.push(pidfd) + 70,
      connectSocket: async () => {
        process.pidfd = undefined;
        return await failing('EAGAIN')();
      },
    });
    await assert.rejects(connectTarget(ABSTRACT, { process, timeoutMs: 1000, signal, door: full }), ended);
    assert.deepEqual(entered, [9]);
  });

  it('names the errno when the listener refuses', async () => {
    const process = { identity: { containerId: 'web' }, pidfd: 9 };
    const refusing = door({ connectSocket: failing('ECONNREFUSED') });
    await assert.rejects(connectTarget(TARGETS[0]!, { process, timeoutMs: 1000, signal, door: refusing }), (error) => {
      assert.ok(error instanceof AgentError);
      assert.deepEqual([error.code, error.fields['berth-errno']], ['unavailable', 'ECONNREFUSED']);
      return true;
    });
  });
});
