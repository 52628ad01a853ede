import assert from 'node:assert/strict';
import type { AgentClient } from '../../../../client/kata/agent-client.ts';
import { connectKata } from '../../../../client/kata/connect.ts';
import { createContainer, execProcess, type KataContainer } from '../../../../client/kata/container.ts';
import { type ServedFakeAgent, serveFakeAgent } from '../../../support/fake-agent-server.ts';

const rootfs = { kind: 'disk', device: '/dev/vdb', fstype: 'erofs' } as const;

describe('a container of the library', () => {
  let agent: ServedFakeAgent;
  let client: AgentClient;

  before(async () => {
    agent = await serveFakeAgent();
    client = await connectKata(agent.address);
  });

  after(async () => {
    await client.close();
    await agent.close();
  });

  beforeEach(() => agent.fake.reset());

  async function run(script: string): Promise<KataContainer> {
    const container = await createContainer(client.kata, { rootfs, args: ['sh', '-c', script] });
    await container.start();
    return container;
  }

  it('gives what its process writes, then its status', async () => {
    const container = await run('echo out; echo err >&2; exit 3');
    const { stdout, stderr, exitCode } = await container.init.collect();
    assert.deepEqual([stdout.toString(), stderr.toString(), exitCode], ['out\n', 'err\n', 3]);
  });

  it('waits only after both outputs have ended, even those that nobody reads', async () => {
    const container = await run('head -c 2000000 /dev/zero; exit 4');
    assert.equal(await container.init.wait(), 4);
    assert.equal(container.init.stdout.bytesRead, 2_000_000);
    assert.equal(await container.init.wait(), 4, 'and may be asked again, though the agent answers once');
    assert.equal(agent.fake.calls.filter((call) => call.startsWith('WaitProcess')).length, 1);
  });

  it('bounds what it collects, and still waits for the end', async () => {
    const container = await run('head -c 2000000 /dev/zero');
    const { stdout, exitCode } = await container.init.collect(1000);
    assert.deepEqual([stdout.length, exitCode], [1000, 0]);
  });

  it('takes input and its end', async () => {
    const container = await run('cat');
    await container.init.stdin.write('a');
    await container.init.stdin.end();
    assert.equal((await container.init.collect()).stdout.toString(), 'a');
  });

  it('runs more processes, with its environment and theirs', async () => {
    const container = await createContainer(client.kata, { rootfs, args: ['sleep', '30'], env: ['A=1', 'B=2'] });
    await container.start();
    const process = await container.exec({ args: ['sh', '-c', 'echo $A $B'], env: ['B=3'] });
    assert.equal((await process.collect()).stdout.toString(), '1 3\n');
    await container.signal('KILL');
    assert.equal(await container.init.wait(), 137);
    await container.remove();
    assert.equal(agent.fake.containers.size, 0);
  });

  it('refuses a bad id before anything is sent', async () => {
    for (const id of ['', 'x', '../x', '-x', `x${'y'.repeat(128)}`, 'a/b']) {
      await assert.rejects(createContainer(client.kata, { id, rootfs, args: ['true'] }), { code: 'invalid_argument' });
    }
    assert.deepEqual(agent.fake.calls, []);
  });

  it("passes the agent's own error on, typed", async () => {
    await assert.rejects(execProcess(client.kata, 'none', { args: ['true'] }), {
      code: 'not_found',
      message: /`none` not found/,
    });
  });
});
