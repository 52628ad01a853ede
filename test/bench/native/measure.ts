// The figures that need no guest: start to listening, memory at rest, and unary calls over a Unix socket, on one CPU.
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Figure, KATA_BUDGET } from '../report/figure.ts';
import { parseSmapsRollup } from '../report/smaps.ts';
import { type DeathCounts, measureDeaths } from './deaths.ts';
import { nodeFloorMs, openWorkshop, startAgent, type Workshop } from './native-agent.ts';
import { startPinned } from './pinned.ts';

export interface NativeCounts {
  starts: number;
  /** Round trips of each kind, in all rounds together. */
  roundTrips: number;
  rounds: number;
  deaths: DeathCounts;
  /** Another build of build/guest. */
  files?: string;
}

const ECHO = 'raw echo of 64 bytes, Unix socket';
const ACCEPTED = 'agent, start to first connection accepted';
const FLOOR = 'node alone, start to first line';
/** Until timers and lazy work of the start are over. */
const SETTLE_MS = 2_000;

export async function measureNative(counts: NativeCounts, say: (text: string) => void): Promise<Figure[]> {
  await using workshop = await openWorkshop(availableParallelism() - 1, counts.files);
  say(`native: ${counts.starts} starts`);
  const starts = await measureStarts(workshop, counts.starts);
  say(`native: ${counts.roundTrips} round trips of each kind`);
  const calls = await measureCalls(workshop, counts);
  say(`native: ${counts.deaths.deaths} deaths beside each of ${counts.deaths.processes.join(', ')} processes`);
  return [...starts, ...calls, ...(await measureDeaths(workshop, counts.deaths, ACCEPTED))];
}

async function measureStarts(workshop: Workshop, count: number): Promise<Figure[]> {
  const agent: number[] = [];
  const accepted: number[] = [];
  const floor: number[] = [];
  for (let round = 0; round < count; round++) {
    floor.push(await nodeFloorMs(workshop));
    await using started = await startAgent(workshop);
    agent.push(started.startMs);
    accepted.push(started.acceptedMs);
  }
  return [
    { place: 'native', name: FLOOR, unit: 'ms', samples: floor },
    { place: 'native', name: 'agent, start to listening', unit: 'ms', samples: agent, against: FLOOR },
    { place: 'native', name: ACCEPTED, unit: 'ms', samples: accepted, against: FLOOR },
    { place: 'native', ...KATA_BUDGET },
    { place: 'native', name: 'agent, the same, of that budget', unit: 'ms', samples: accepted, against: KATA_BUDGET.name },
  ];
}

async function measureCalls(workshop: Workshop, { roundTrips, rounds }: NativeCounts): Promise<Figure[]> {
  await using agent = await startAgent(workshop);
  await sleep(SETTLE_MS);
  const memory = parseSmapsRollup(await agent.smapsRollup());
  const echoSocket = join(workshop.directory, 'echo.sock');
  await using echo = startPinned(workshop.cpu, [process.execPath, join(import.meta.dirname, 'echo-server.ts'), echoSocket]);
  await echo.line((line) => line === 'listening');
  const samples = { echo: [] as number[], ttrpc: [] as number[], grpc: [] as number[] };
  for (let round = 0; round < rounds; round++) {
    for (const kind of ['echo', 'ttrpc', 'grpc'] as const) {
      const socket = kind === 'echo' ? echoSocket : agent.socket;
      samples[kind].push(...(await roundTripsOf(workshop, kind, socket, Math.ceil(roundTrips / rounds))));
    }
  }
  const micros = (list: readonly number[]) => list.map((ms) => ms * 1000);
  return [
    { place: 'native', name: 'agent private memory, started', unit: 'MiB', samples: [memory.privateMiB] },
    { place: 'native', name: 'agent PSS, started', unit: 'MiB', samples: [memory.pssMiB] },
    { place: 'native', name: ECHO, unit: 'µs', samples: micros(samples.echo) },
    { place: 'native', name: 'Health.Check, ttrpc', unit: 'µs', samples: micros(samples.ttrpc), against: ECHO },
    { place: 'native', name: 'Health.Check, gRPC', unit: 'µs', samples: micros(samples.grpc), against: ECHO },
  ];
}

async function roundTripsOf(workshop: Workshop, kind: string, socket: string, count: number): Promise<number[]> {
  const program = join(import.meta.dirname, 'round-trips.ts');
  await using client = startPinned(workshop.cpu, [process.execPath, program, kind, socket, String(count)]);
  return JSON.parse(await client.line((line) => line.startsWith('['))) as number[];
}
