// The guest's own hooks around containers of a booted guest, and hooks of a spec where the guest allows them.
import assert from 'node:assert/strict';
import type { grpc } from '#proto/kata.js';
import { hasCode } from '../../agent/errors.ts';
import type { AgentClient } from '../../client/kata/agent-client.ts';
import { createContainer } from '../../client/kata/container.ts';
import { BOOT_TIMEOUT_MS, bootTestGuest, type TestGuest } from '../support/guest.ts';
import { guestResources, runInGuest } from '../support/guest-resources.ts';

const HOOKS = '/run/test-hooks';
const RAN = '/run/test-hooks-ran';
/** Each hook notes its kind and the container's state on one line; one fails when it is told to. */
const MAKE = `
set -e
umask 022
mkdir -p ${HOOKS}/prestart ${HOOKS}/poststart ${HOOKS}/poststop
for kind in prestart poststart poststop; do
  printf '#!/bin/sh\\necho "$1 $(tr -d "\\\\n")" >> ${RAN}\\n' > ${HOOKS}/$kind/10-note
  chmod 755 ${HOOKS}/$kind/10-note
done
printf '#!/bin/sh\\ntest ! -e /run/test-hooks-fail\\n' > ${HOOKS}/prestart/20-fail
chmod 755 ${HOOKS}/prestart/20-fail
printf '#!/bin/sh\\necho unsafe >> ${RAN}\\n' > ${HOOKS}/prestart/30-unsafe
chmod 777 ${HOOKS}/prestart/30-unsafe
printf '#!/bin/sh\\necho "spec $(tr -d "\\\\n")" >> ${RAN}\\n' > /run/test-spec-hook
chmod 755 /run/test-spec-hook
`;

describe("the guest's own hooks", function () {
  this.timeout(BOOT_TIMEOUT_MS);
  let guest: TestGuest;
  let client: AgentClient;
  const lines: Record<string, unknown>[] = [];

  before(async () => {
    guest = await bootTestGuest({ cmdline: ['berth.spec_hooks=true'], onLog: (record) => lines.push(record) });
    client = await guest.connect('ttrpc');
    await runInGuest(client, ['sh', '-c', MAKE]);
    await client.kata.createSandbox({ sandboxId: 'hooks', hostname: guest.hostname, guestHookPath: HOOKS });
  });

  const made: string[] = [];
  afterEach(async () => {
    for (const containerId of made.splice(0)) await client.kata.removeContainer({ containerId }).catch(() => {});
  });

  after(async () => {
    await client?.close();
    await guest?.[Symbol.asyncDispose]();
  });

  /** What ran for the container, in its order. */
  const ranFor = async (id: string): Promise<string[]> => {
    const text = await runInGuest(client, ['cat', RAN]);
    return text
      .split('\n')
      .filter((line) => line.includes(`"${id}"`))
      .map((line) => line.split(' ', 1)[0] as string);
  };

  it('run before the start, after the start and after the end of a container, each told its state', async () => {
    made.push('hooked');
    const container = await createContainer(client.kata, { id: 'hooked', args: ['sleep', 'inf'], rootfs: guest.busybox });
    assert.deepEqual(await ranFor('hooked'), ['prestart']);
    await container.start();
    assert.deepEqual(await ranFor('hooked'), ['prestart', 'poststart']);
    await container.remove();
    assert.deepEqual(await ranFor('hooked'), ['prestart', 'poststart', 'poststop']);
  });

  it('are left out, and told to the log, where others than root could have written them', async () => {
    assert.ok(!(await runInGuest(client, ['cat', RAN])).includes('unsafe'));
    const warning = lines.find(({ msg, path }) => msg === 'guest hook left out' && path === `${HOOKS}/prestart/30-unsafe`);
    assert.match(String(warning?.['reason']), /written by others than root/);
  });

  it('that fail before the start fail the creation, and nothing is left behind', async () => {
    const before = await guestResources(guest);
    const fail = (on: boolean) => runInGuest(client, ['sh', '-c', `${on ? 'touch' : 'rm -f'} /run/test-hooks-fail`]);
    await fail(true);
    try {
      const making = createContainer(client.kata, { id: 'unlucky', args: ['true'], rootfs: guest.busybox });
      await assert.rejects(making, (error) => hasCode(error, 'internal') && /hook/.test(error.message));
    } finally {
      // The next program to run in the guest is a container too, and would fail as well.
      await client.kata.createSandbox({ sandboxId: 'hooks', hostname: guest.hostname });
      await fail(false);
      await client.kata.createSandbox({ sandboxId: 'hooks', hostname: guest.hostname, guestHookPath: HOOKS });
    }
    assert.deepEqual(await guestResources(guest), before);
  });

  it('come after those of a spec, where the guest allows these', async () => {
    const containerId = 'spec-hooked';
    const spec: grpc.ISpec = {
      Root: { Path: '/' },
      Process: { Args: ['/usr/bin/true'], Cwd: '/', User: {}, Capabilities: {} },
      Linux: { Namespaces: [{ Type: 'mount' }] },
      Hooks: { Prestart: [{ Path: '/run/test-spec-hook', Args: ['hook'] }] },
    };
    await client.kata.createContainer({ containerId, OCI: spec });
    await client.kata.removeContainer({ containerId });
    assert.deepEqual(await ranFor(containerId), ['spec', 'prestart', 'poststop']);
  });
});
