// berth.v1.Agent/Upgrade: the agent replaced while what it looks after runs on.
import { berth } from '#proto/berth.js';
import { AgentError } from '../../errors.ts';
import type { Upgrader } from '../../guest/upgrade/upgrader.ts';
import type { Method } from '../../rpc/service.ts';
import type { Clients } from '../../sandbox/clients.ts';
import { eachUnlessAborted } from '../../unless-aborted.ts';
import { toSize } from './file-message.ts';

import { berthService } from './method.ts';
import { refuse } from './process-ref.ts';

const v1 = berth.v1;
const SHA256_BYTES = 32;

export interface UpgradeHost {
  readonly generation: number;
  /** Loaded when first asked for; the same each time. */
  readonly upgrader: () => Promise<Upgrader>;
  /** Ends this agent soon, once what it has said is out. */
  readonly handOver: () => void;
}

export function upgradeMethod(host: UpgradeHost, clients: Clients): Method {
  const { duplex } = berthService('Agent', clients);
  return duplex('Upgrade', v1.UpgradeRequest, v1.UpgradeResponse, async ({ requests, send }, { signal }) => {
    const messages = requests[Symbol.asyncIterator]();
    const first = await messages.next();
    const begin = first.done ? undefined : first.value.begin;
    if (!begin)
      throw new AgentError('invalid_argument', 'the first message of Upgrade must be `begin`', { fields: { field: 'begin' } });
    const sha256 = begin.sha256 ?? new Uint8Array(0);
    if (sha256.length !== SHA256_BYTES) refuse('begin.sha256', `${sha256.length} bytes`);
    const offer = { size: toSize(begin.size, 'begin.size'), sha256 };
    const { version, commit } = await (await host.upgrader()).take(offer, dataOf(messages, signal));
    try {
      await send({ version, commit, generation: host.generation });
    } finally {
      // Whether or not anybody has heard of it: berth-init has.
      host.handOver();
    }
  });
}

async function* dataOf(messages: AsyncIterator<berth.v1.UpgradeRequest>, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  for await (const { data } of eachUnlessAborted(messages, signal)) {
    if (!data) throw new AgentError('invalid_argument', 'a message of Upgrade after the first has no data');
    yield data;
  }
}
