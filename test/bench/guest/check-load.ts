// How soon Check is answered while the agent has the most to do, on the same connection; Kata's host asks every few seconds.
import { setTimeout as sleep } from 'node:timers/promises';
import type { AgentClient } from '../../../client/kata/agent-client.ts';
import { createContainer, type KataContainer } from '../../../client/kata/container.ts';
import type { Rootfs } from '../../../client/rootfs.ts';
import { timeDuring } from '../../support/latency.ts';
import type { Figure } from '../report/figure.ts';
import { stdoutRate } from './stdout-rate.ts';

export interface CheckCounts {
  /** Made and removed in all. */
  containers: number;
  flowBytes: number;
}

const AT_A_TIME = 8;
const REST_MS = 3_000;
const AT_REST = 'Version while nothing else goes on';

export async function measureChecks(
  client: AgentClient,
  container: KataContainer,
  rootfs: Rootfs,
  counts: CheckCounts,
  say: (text: string) => void,
): Promise<Figure[]> {
  // Version is answered as Check is, and AgentClient has it.
  const figure = async (name: string, work: () => Promise<unknown>): Promise<Figure> => {
    say(`guest: ${name}`);
    const against = name === AT_REST ? undefined : AT_REST;
    return { place: 'guest', name, unit: 'ms', samples: await timeDuring(work(), () => client.version()), against };
  };
  let left = counts.containers;
  const churn = async () => {
    while (left-- > 0) {
      const made = await createContainer(client.kata, { args: ['sleep', 'inf'], rootfs });
      await made.start();
      await made.remove();
    }
  };
  return [
    await figure(AT_REST, () => sleep(REST_MS)),
    await figure(`Version while ${counts.flowBytes / 2 ** 20} MiB of stdout flow`, () =>
      stdoutRate(client, container, counts.flowBytes, 2),
    ),
    await figure(`Version while ${counts.containers} containers are made and removed`, () =>
      Promise.all(Array.from({ length: AT_A_TIME }, churn)),
    ),
  ];
}
