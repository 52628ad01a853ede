// Many clients of one agent in a booted guest.
import { describeFairClients } from '../support/fair-clients.ts';
import { sharedGuest, type TestGuest } from '../support/guest.ts';

describe('the agent in a guest', () => {
  let booted: TestGuest;

  before(async () => {
    booted = await sharedGuest();
  });

  describeFairClients({ name: 'in a guest', few: true, address: () => booted.guest.address });
});
