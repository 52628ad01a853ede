// The agent is killed while processes of the guest run: nothing of them is lost. The real agent on this machine, under berth-init.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { type NativeTestAgent, startNativeAgent } from '../support/native-agent.ts';
import { processesAt, type TestProcesses } from '../support/processes-client.ts';

describe('a process, when the agent dies', function () {
  this.timeout(30_000);
  let agent: NativeTestAgent;

  beforeEach(async () => {
    agent = await startNativeAgent({}, { restart: true });
  });
  afterEach(() => agent[Symbol.asyncDispose]());

  const killAgent = async () => {
    const again = agent.nextListening();
    process.kill(await agent.agentPid(), 'SIGKILL');
    await again;
  };

  it('goes on, and its output and exit are there for whoever comes next', async () => {
    const ref = await withClient((client) => client.sh('', 'echo one; sleep 1; echo two; exit 7'));
    await sleep(200);
    await killAgent();
    await withClient(async (client) => {
      const { stdout, exit } = await client.collect(ref);
      assert.deepEqual([stdout, exit.code], ['one\ntwo\n', 7]);
      assert.equal((await client.wait({ ref })).exit?.code, 7);
    });
  });

  it('keeps the exit that happened while no agent was there', async () => {
    const ref = await withClient((client) => client.sh('', 'sleep 0.3; exit 9'));
    const pid = await agent.agentPid();
    process.kill(pid, 'SIGSTOP');
    await sleep(600);
    const again = agent.nextListening();
    process.kill(pid, 'SIGKILL');
    await again;
    await withClient(async (client) => assert.equal((await client.wait({ ref })).exit?.code, 9));
  });

  async function withClient<T>(work: (client: TestProcesses) => Promise<T>): Promise<T> {
    const client = await processesAt(agent.address);
    try {
      return await work(client);
    } finally {
      await client[Symbol.asyncDispose]();
    }
  }
});
