// An agent whose guest has no crun. The real agent on this machine, under berth-init.
import assert from 'node:assert/strict';
import { connect } from '../../client/api/guest.ts';
import { connectKata } from '../../client/kata/connect.ts';
import { startNativeAgent } from '../support/native-agent.ts';

describe('an agent without crun', function () {
  this.timeout(30_000);

  it('says what it is all the same, of crun nothing', async () => {
    await using agent = await startNativeAgent({ BERTH_CRUN: '/none/crun' });
    await using guest = await connect(agent.address, { name: 'looker' });
    const { runtimeVersion, kernelRelease } = await guest.info();
    assert.deepEqual([runtimeVersion, kernelRelease !== ''], ['', true]);
    await using client = await connectKata(agent.address, { protocol: 'ttrpc', timeoutMs: 10_000 });
    const { agentDetails } = await client.kata.getGuestDetails({});
    assert.deepEqual([agentDetails?.supportsSeccomp, agentDetails?.extraFeatures], [false, []]);
  });
});
