// Many clients of the real agent on this machine.
import { NODE_FLAGS } from '../bench/native/native-agent.ts';
import { describeFairClients } from '../support/fair-clients.ts';
import { type NativeTestAgent, startNativeAgent } from '../support/native-agent.ts';

describe('the agent on this machine', () => {
  let agent: NativeTestAgent;

  before(async function () {
    this.timeout(30_000);
    agent = await startNativeAgent({ NODE_OPTIONS: NODE_FLAGS.join(' ') });
  });
  after(() => agent?.[Symbol.asyncDispose]());

  describeFairClients({ name: 'on this machine', address: () => agent.address });
});
