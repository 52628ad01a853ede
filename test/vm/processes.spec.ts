// berth.v1.Processes on a booted guest, in a container and in the guest itself.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { berth } from '#proto/berth.js';
import type { AgentClient } from '../../client/agent-client.ts';
import { type Container, createContainer } from '../../client/container.ts';
import { sharedGuest, type TestGuest } from '../support/guest.ts';
import { processesAt, type TestProcesses } from '../support/processes-client.ts';

const { SCOPE_TREE, SCOPE_LEADER } = berth.v1.SignalRequest.Scope;
const SIGKILL = 9;
const SIGTERM = 15;
const READ = { start: true, primary: true, credit: 1024 * 1024 } as const;

describe('the processes of berth.v1', () => {
  let guest: TestGuest;
  let client: AgentClient;
  let container: Container;
  let processes: TestProcesses;

  before(async function () {
    this.timeout(200_000);
    guest = await sharedGuest();
    client = await guest.connect('ttrpc');
    container = await createContainer(client.kata, { args: ['sleep', 'inf'], rootfs: guest.busybox });
    await container.start();
    processes = await processesAt(guest.guest.address);
  });

  after(async () => {
    await processes?.[Symbol.asyncDispose]();
    await container?.remove();
    await client?.close();
  });

  for (const where of ['a container', 'the guest'] as const) {
    describe(`in ${where}`, () => {
      const id = () => (where === 'the guest' ? '' : container.id);

      it('run to their end, and tell output and exit', async () => {
        const ref = await processes.sh(id(), 'echo out; echo err >&2; exit 7');
        const { stdout, stderr, exit } = await processes.collect(ref);
        assert.deepEqual([stdout, stderr, exit.code, exit.signal], ['out\n', 'err\n', 7, 0]);
      });

      it('tell the exit at once, who still holds the output, and what is written later', async () => {
        const ref = await processes.sh(id(), '(sleep 2; echo late) & echo hi; exit 3');
        const attached = await processes.attach({ ref, stdout: READ });
        await attached.until(() => attached.exit !== undefined, 'the exit was told');
        assert.equal(attached.exit!.code, 3);
        await attached.until(() => attached.stdout.held !== undefined, 'the holder was told');
        assert.equal(attached.text('stdout'), 'hi\n');
        assert.equal(attached.stdout.ended, undefined);
        assert.ok(attached.stdout.held!.holders.length > 0);
        await attached.finished;
        assert.equal(attached.text('stdout'), 'hi\nlate\n');
        assert.equal(attached.stdout.ended!.closed, true);
      });
    });
  }

  it('are killed as a tree, whatever they do to get away', async () => {
    const script = `setsid sh -c 'trap "" TERM; (setsid sleep 1000 &) ; while :; do sleep 1000; done' & sleep 1; echo ready; sleep 1000`;
    const ref = await processes.sh(container.id, script);
    const attached = await processes.attach({ ref, stdout: READ });
    await attached.until(() => attached.text('stdout') === 'ready\n', 'it is up');
    const { processes: before } = await processes.list({ containerId: container.id, tree: true });
    const tree = before.find(({ process }) => process?.ref?.processId === ref.processId)!;
    assert.ok(tree.members!.length >= 3, JSON.stringify(tree.members));
    await processes.signal({ ref, signal: SIGTERM, scope: SCOPE_LEADER });
    await attached.until(() => attached.exit !== undefined, 'the leader has gone');
    assert.equal(attached.exit!.signal, SIGTERM);
    assert.ok((await processes.stats({ ref })).processes >= 2, 'the rest lives on');
    const { survivors } = await processes.signal({ ref, signal: SIGKILL, scope: SCOPE_TREE, graceMs: 100 });
    assert.deepEqual(survivors, []);
    await attached.finished;
    await processes.forget({ ref });
    await sleep(0);
  });
});
