// Ours and what it is held against, measured in turns: what else the machine does then falls on both.

import type { Guest } from '../../../client/api/guest.ts';
import type { AgentClient } from '../../../client/kata/agent-client.ts';
import { execProcess, type KataContainer } from '../../../client/kata/container.ts';
import type { Figure, Unit } from '../report/figure.ts';
import { timeEach } from '../timing.ts';
import { bareExec } from './bare-crun.ts';
import { GUEST_NODE, type RawServer, startRawServer } from './raw-server.ts';
import { stdoutRate } from './stdout-rate.ts';
import { attachRate, type PassedRoute, passedRate } from './stdout-routes.ts';

export interface TurnCounts {
  rounds: number;
  /** Of each kind, in each round. */
  unary: number;
  execs: number;
  nodeStarts: number;
  copyBytes: number;
}

export interface TurnParts {
  address: string;
  ttrpc: AgentClient;
  grpc: AgentClient;
  own: Guest;
  passed: PassedRoute;
  /** Runs, and has /bin/true and head. */
  container: KataContainer;
}

/** One thing that each round measures. */
interface Task {
  name: string;
  unit: Unit;
  against?: string;
  measure(counts: TurnCounts): Promise<number[]>;
}

const WARM_UP = { unary: 200, execs: 3, nodeStarts: 1, copyBytes: 8e6, rounds: 1 };
const ECHO = 'raw echo of 64 bytes, vsock';
const COPY = 'raw copy to the host, vsock';
const CRUN = 'bare crun exec of /bin/true';
export const NODE_START = 'node -e 0, start to exit';

export async function measureTurns(parts: TurnParts, counts: TurnCounts, say: (text: string) => void): Promise<Figure[]> {
  const raw = await startRawServer(parts.ttrpc, parts.address);
  try {
    const bare = await bareExec(raw, parts.container.id);
    const figures = tasks(parts, raw, bare).map((task) => ({ task, samples: [] as number[] }));
    say('guest: warming up');
    for (const { task } of figures) await task.measure(WARM_UP);
    for (let round = 1; round <= counts.rounds; round++) {
      say(`guest: round ${round} of ${counts.rounds}`);
      for (const { task, samples } of figures) samples.push(...(await task.measure(counts)));
    }
    return figures.map(({ task: { name, unit, against }, samples }) => ({ place: 'guest', name, unit, samples, against }));
  } finally {
    await raw.stop();
  }
}

function tasks({ ttrpc, grpc, own, passed, container }: TurnParts, raw: RawServer, bare: readonly string[]): Task[] {
  const check = async (client: AgentClient, count: number) => micros(await timeEach(count, () => client.version()));
  const rate = (name: string, client: AgentClient, inFlight: number): Task => ({
    name,
    unit: 'MB/s',
    against: COPY,
    measure: async ({ copyBytes }) => [await stdoutRate(client, container, copyBytes, inFlight)],
  });
  return [
    { name: ECHO, unit: 'µs', measure: async ({ unary }) => micros(await raw.echo(unary)) },
    { name: 'Health.Version, ttrpc', unit: 'µs', against: ECHO, measure: ({ unary }) => check(ttrpc, unary) },
    { name: 'Health.Version, gRPC', unit: 'µs', against: ECHO, measure: ({ unary }) => check(grpc, unary) },
    { name: CRUN, unit: 'ms', measure: ({ execs }) => raw.time(bare, execs) },
    {
      name: 'exec of /bin/true, ttrpc',
      unit: 'ms',
      against: CRUN,
      measure: ({ execs }) => timeEach(execs, execTrue(ttrpc, container)),
    },
    { name: NODE_START, unit: 'ms', measure: ({ nodeStarts }) => raw.time([GUEST_NODE, '-e', '0'], nodeStarts) },
    { name: COPY, unit: 'MB/s', measure: async ({ copyBytes }) => [await raw.copy(copyBytes)] },
    rate('stdout, ttrpc, one read at a time', ttrpc, 1),
    rate('stdout, ttrpc, two reads', ttrpc, 2),
    rate('stdout, gRPC, one read at a time', grpc, 1),
    rate('stdout, gRPC, two reads', grpc, 2),
    {
      name: 'stdout, gRPC, attached',
      unit: 'MB/s',
      against: COPY,
      measure: async ({ copyBytes }) => [await attachRate(own, container, copyBytes)],
    },
    {
      name: 'stdout, a connection of its own',
      unit: 'MB/s',
      against: COPY,
      measure: async ({ copyBytes }) => [await passedRate(passed, container, copyBytes)],
    },
  ];
}

/** Request to exit status, both streams read to their ends. */
function execTrue(client: AgentClient, { id: containerId }: KataContainer): () => Promise<void> {
  return async () => {
    const process = await execProcess(client.kata, containerId, { args: ['/bin/true'] });
    const { exitCode } = await process.collect();
    if (exitCode !== 0) throw new Error(`/bin/true ended with ${exitCode}`);
  };
}

function micros(milliseconds: readonly number[]): number[] {
  return milliseconds.map((ms) => ms * 1000);
}
