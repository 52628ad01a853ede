// A container whose root holds every mount of the guest must not keep the others from being removed.
import assert from 'node:assert/strict';
import { createContainer } from '../../client/kata/container.ts';
import { sharedGuest } from '../support/guest.ts';
import { runInGuest } from '../support/guest-resources.ts';

describe('the removal of containers', () => {
  it('works while others are made whose root is a recursive bind of the whole guest', async () => {
    const guest = await sharedGuest();
    await using client = await guest.connect('ttrpc');
    const churn = async () => {
      for (let round = 0; round < 6; round++) {
        const container = await createContainer(client.kata, { args: ['true'], rootfs: guest.busybox });
        await container.start();
        await container.remove();
      }
    };
    const look = async () => {
      for (let round = 0; round < 6; round++) assert.equal(await runInGuest(client, ['true']), '');
    };
    await Promise.all([churn(), churn(), look(), look()]);
    assert.deepEqual(await client.containers(), []);
  });
});
