// The agent is killed beside processes that run: how long until the next one has taken them over and a client has been answered.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '../../../client/api/guest.ts';
import type { Figure } from '../report/figure.ts';
import { startAgentAgain, untilAccepted, type Workshop } from './native-agent.ts';

/** Between two deaths, so that none meets the work that the last one left. */
const PAUSE_MS = 300;
/** A shell with a pipe on each stream, as an exec of a container has. */
const PROGRAM = ['sh', '-c', 'echo started; exec sleep 1000'];

export interface DeathCounts {
  readonly deaths: number;
  /** Beside which it dies, one figure for each number. */
  readonly processes: readonly number[];
}

/** @param against name of the figure of an agent's first start */
export async function measureDeaths(workshop: Workshop, { deaths, processes }: DeathCounts, against: string): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const count of processes) {
    await using agent = await startAgentAgain(workshop);
    const address = `unix://${agent.socket}`;
    await using client = await connect(address, { name: 'bench' });
    for (let index = 0; index < count; index++) await client.run(PROGRAM, { id: `p${index}`, lifetime: 'keep', stdin: true });
    const samples: number[] = [];
    for (let death = 0; death < deaths; death++) {
      await sleep(PAUSE_MS);
      const pid = await agent.pid();
      const killedAt = performance.now();
      process.kill(pid, 'SIGKILL');
      await untilAccepted(agent.socket);
      await using next = await connect(address, { name: 'next' });
      const found = await next.processes();
      samples.push(performance.now() - killedAt);
      assert.equal(found.length, count);
    }
    figures.push({
      place: 'native',
      name: `agent, killed to serving again beside ${count} processes`,
      unit: 'ms',
      samples,
      against,
    });
  }
  return figures;
}
