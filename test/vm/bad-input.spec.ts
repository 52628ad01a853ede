// Bad input to every RPC of this agent: the code and the text that Kata's clients know, and nothing left behind.
import assert from 'node:assert/strict';
import type { grpc } from '#proto/kata.js';
import { type Code, isAgentError } from '../../agent/errors.ts';
import { defaultSpec } from '../../client/default-spec.ts';
import type { AgentClient } from '../../client/kata/agent-client.ts';
import { createContainer, type KataContainer } from '../../client/kata/container.ts';
import { sharedGuest, type TestGuest } from '../support/guest.ts';
import { guestResources } from '../support/guest-resources.ts';

interface BadCall {
  rpc: string;
  title: string;
  call(client: AgentClient, container: KataContainer): Promise<unknown>;
  code: Code;
  text: RegExp;
}

const NOBODY = { containerId: 'nobody', execId: '' };
const spec = (change: grpc.Spec.$Properties = {}) => ({ ...defaultSpec({ args: ['true'], rootPath: '/' }), ...change });
const create = (request: grpc.CreateContainerRequest.$Properties) => (client: AgentClient) =>
  client.kata.createContainer(request as never);
const missingExec = (container: KataContainer) => ({ containerId: container.id, execId: 'nothing' });

const CALLS: BadCall[] = [
  {
    rpc: 'CreateContainer',
    title: 'an empty id',
    call: create({ containerId: '', OCI: spec() }),
    code: 'internal',
    text: /invalid container id/i,
  },
  {
    rpc: 'CreateContainer',
    title: 'an id that walks up',
    call: create({ containerId: '../etc', OCI: spec() }),
    code: 'internal',
    text: /invalid container id/i,
  },
  {
    rpc: 'CreateContainer',
    title: 'an id longer than 128',
    call: create({ containerId: 'a'.repeat(129), OCI: spec() }),
    code: 'internal',
    text: /invalid container id/i,
  },
  {
    rpc: 'CreateContainer',
    title: 'no spec',
    call: create({ containerId: 'bad' }),
    code: 'internal',
    text: /EINVAL.*OCI is missing/,
  },
  {
    rpc: 'CreateContainer',
    title: 'a spec with no process',
    call: create({ containerId: 'bad', OCI: spec({ Process: undefined }) }),
    code: 'internal',
    text: /EINVAL.*OCI\.Process is missing/,
  },
  {
    rpc: 'CreateContainer',
    title: 'a spec with no root',
    call: create({ containerId: 'bad', OCI: spec({ Root: undefined }) }),
    code: 'internal',
    text: /EINVAL.*OCI\.Root is missing/,
  },
  {
    rpc: 'CreateContainer',
    title: 'a root that is not there',
    call: create({ containerId: 'bad', OCI: spec({ Root: { Path: '/nowhere' } }) }),
    code: 'internal',
    text: /\/nowhere/,
  },
  {
    rpc: 'CreateContainer',
    title: 'a storage driver that does not exist',
    call: create({ containerId: 'bad', OCI: spec(), storages: [{ driver: '9p', mountPoint: '/run/x' }] }),
    code: 'internal',
    text: /Failed to find the storage handler 9p/,
  },
  {
    rpc: 'CreateContainer',
    title: 'a capability that does not exist',
    call: create({
      containerId: 'bad',
      OCI: spec({ Process: { Args: ['true'], Cwd: '/', Capabilities: { Bounding: ['CAP_FLY'] } } }),
    }),
    code: 'invalid_argument',
    text: /OCI\.Process\.Capabilities\.Bounding\[0\]/,
  },
  {
    rpc: 'CreateContainer',
    title: 'a disk without a PCI path',
    call: create({ containerId: 'bad', OCI: spec(), devices: [{ type: 'blk', vmPath: '/dev/vdz', containerPath: '/dev/x' }] }),
    code: 'invalid_argument',
    text: /devices\[0\]\.id/,
  },
  {
    rpc: 'CreateContainer',
    title: 'an id that exists',
    call: (client, { id }) => client.kata.createContainer({ containerId: id, OCI: spec() } as never),
    code: 'internal',
    text: /already exists/,
  },
  {
    rpc: 'StartContainer',
    title: 'an unknown container',
    call: (client) => client.kata.startContainer({ containerId: 'nobody' }),
    code: 'internal',
    text: /Invalid container id/,
  },
  {
    rpc: 'StartContainer',
    title: 'a container that runs',
    call: (client, { id }) => client.kata.startContainer({ containerId: id }),
    code: 'internal',
    text: /current status is: running/,
  },
  {
    rpc: 'RemoveContainer',
    title: 'an unknown container',
    call: (client) => client.kata.removeContainer({ containerId: 'nobody' }),
    code: 'internal',
    text: /Invalid container id/,
  },
  {
    rpc: 'ExecProcess',
    title: 'an unknown container',
    call: (client) => client.kata.execProcess({ containerId: 'nobody', execId: 'e1', process: { Args: ['true'], Cwd: '/' } }),
    code: 'internal',
    text: /Invalid container id/,
  },
  {
    rpc: 'ExecProcess',
    title: 'no process',
    call: (client, { id }) => client.kata.execProcess({ containerId: id, execId: 'e1' }),
    code: 'internal',
    text: /Unable to parse process/,
  },
  {
    rpc: 'ExecProcess',
    title: 'a program that is not there',
    call: (_client, container) => container.exec({ args: ['no-such-program'] }),
    code: 'internal',
    text: /no-such-program.*(not found|No such file)/i,
  },
  {
    rpc: 'ExecProcess',
    title: 'an id that walks up',
    call: (client, { id }) => client.kata.execProcess({ containerId: id, execId: '../x', process: { Args: ['true'], Cwd: '/' } }),
    code: 'invalid_argument',
    text: /exec/,
  },
  {
    rpc: 'ExecProcess',
    title: 'no arguments',
    call: (client, { id }) => client.kata.execProcess({ containerId: id, execId: 'e2', process: { Cwd: '/' } }),
    code: 'invalid_argument',
    text: /Args/,
  },
  {
    rpc: 'SignalProcess',
    title: 'an unknown container',
    call: (client) => client.kata.signalProcess({ ...NOBODY, signal: 15 }),
    code: 'invalid_argument',
    text: /Invalid container id/,
  },
  {
    rpc: 'SignalProcess',
    title: 'an unknown container, to be killed',
    call: (client) => client.kata.signalProcess({ ...NOBODY, signal: 9 }),
    code: 'internal',
    text: /Invalid container id/,
  },
  {
    rpc: 'SignalProcess',
    title: 'an unknown exec',
    call: (client, container) => client.kata.signalProcess({ ...missingExec(container), signal: 15 }),
    code: 'not_found',
    text: /process not found/,
  },
  {
    rpc: 'SignalProcess',
    title: 'a signal that does not exist',
    call: (client, { id }) => client.kata.signalProcess({ containerId: id, execId: '', signal: 4000 }),
    code: 'invalid_argument',
    text: /signal/,
  },
  {
    rpc: 'WaitProcess',
    title: 'an unknown container',
    call: (client) => client.kata.waitProcess(NOBODY),
    code: 'invalid_argument',
    text: /Invalid container id/,
  },
  {
    rpc: 'WaitProcess',
    title: 'an unknown exec',
    call: (client, container) => client.kata.waitProcess(missingExec(container)),
    code: 'not_found',
    text: /process not found/,
  },
  {
    rpc: 'WriteStdin',
    title: 'an unknown container',
    call: (client) => client.kata.writeStdin({ ...NOBODY, data: Buffer.from('x') }),
    code: 'internal',
    text: /Invalid container id/,
  },
  {
    rpc: 'WriteStdin',
    title: 'an unknown exec',
    call: (client, container) => client.kata.writeStdin({ ...missingExec(container), data: Buffer.from('x') }),
    code: 'internal',
    text: /process not found/,
  },
  {
    rpc: 'CloseStdin',
    title: 'an unknown exec',
    call: (client, container) => client.kata.closeStdin(missingExec(container)),
    code: 'not_found',
    text: /process not found/,
  },
  {
    rpc: 'ReadStdout',
    title: 'an unknown exec',
    call: (client, container) => client.kata.readStdout({ ...missingExec(container), len: 1 }),
    code: 'not_found',
    text: /process not found/,
  },
  {
    rpc: 'ReadStderr',
    title: 'an unknown container',
    call: (client) => client.kata.readStderr({ ...NOBODY, len: 1 }),
    code: 'invalid_argument',
    text: /Invalid container id/,
  },
  {
    rpc: 'ReadStdout',
    title: 'no bytes asked for',
    call: (client, { id }) => client.kata.readStdout({ containerId: id, execId: '', len: 0 }),
    code: 'invalid_argument',
    text: /len/,
  },
  {
    rpc: 'TtyWinResize',
    title: 'a process with no terminal',
    call: (client, { id }) => client.kata.ttyWinResize({ containerId: id, execId: '', row: 1, column: 1 }),
    code: 'unavailable',
    text: /no tty/,
  },
  {
    rpc: 'TtyWinResize',
    title: 'a size beyond the kernel',
    call: (client, { id }) => client.kata.ttyWinResize({ containerId: id, execId: '', row: 70000, column: 1 }),
    code: 'invalid_argument',
    text: /row/,
  },
  {
    rpc: 'StatsContainer',
    title: 'an unknown container',
    call: (client) => client.kata.statsContainer({ containerId: 'nobody' }),
    code: 'invalid_argument',
    text: /invalid container id/i,
  },
  {
    rpc: 'PauseContainer',
    title: 'an unknown container',
    call: (client) => client.kata.pauseContainer({ containerId: 'nobody' }),
    code: 'invalid_argument',
    text: /invalid container id/i,
  },
  {
    rpc: 'ResumeContainer',
    title: 'a container that is not paused',
    call: (client, { id }) => client.kata.resumeContainer({ containerId: id }),
    code: 'internal',
    text: /not paused/,
  },
  {
    rpc: 'UpdateContainer',
    title: 'an unknown container',
    call: (client) => client.kata.updateContainer({ containerId: 'nobody' }),
    code: 'invalid_argument',
    text: /invalid container id/i,
  },
  {
    rpc: 'CreateSandbox',
    title: 'a sandbox that has containers',
    call: (client) => client.kata.createSandbox({ sandboxId: 'again' }),
    code: 'internal',
    text: /has containers/,
  },
];

for (const protocol of ['ttrpc', 'grpc'] as const) {
  describe(`bad input over ${protocol}`, () => {
    let guest: TestGuest;
    let client: AgentClient;
    let container: KataContainer;
    let atStart: Awaited<ReturnType<typeof guestResources>>;

    before(async () => {
      guest = await sharedGuest();
      client = await guest.connect(protocol);
      container = await createContainer(client.kata, { args: ['sleep', 'inf'], rootfs: guest.busybox });
      await container.start();
      atStart = await guestResources(guest);
    });

    after(async () => {
      await container?.remove();
      await client?.close();
    });

    for (const { rpc, title, call, code, text } of CALLS) {
      it(`to ${rpc}, ${title}, is refused with ${code}`, async () => {
        await assert.rejects(call(client, container), (error) => {
          assert.ok(isAgentError(error), String(error));
          assert.deepEqual([error.code, text.test(error.message)], [code, true], error.message);
          return true;
        });
      });
    }

    it('leaves nothing behind', async () => assert.deepEqual(await guestResources(guest), atStart));
  });
}
