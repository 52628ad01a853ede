// The figures of one booted guest, ours and what they are held against in turns.
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '../../../client/api/guest.ts';
import { createContainer } from '../../../client/kata/container.ts';
import { type Figure, KATA_BUDGET } from '../report/figure.ts';
import { agentMemory, agentStartedAtMs, killAgent } from './agent-probe.ts';
import { type BenchGuest, bootBenchGuest, PASSFD_PORT } from './bench-guest.ts';
import { type CheckCounts, measureChecks } from './check-load.ts';
import { stdoutRate } from './stdout-rate.ts';
import { measureTurns, NODE_START, type TurnCounts } from './turns.ts';

export interface GuestCounts extends TurnCounts, CheckCounts {
  restarts: number;
  /** Streamed before the memory is looked at. */
  loadBytes: number;
}

const BUSYBOX = { kind: 'disk', device: '/dev/vdb', fstype: 'erofs' } as const;
/** The agent gives memory back 5 s after the last call (agent/guest/trim.ts). */
const IDLE_SECONDS = 8;
const AFTER_LOAD_SECONDS = 10;
const RESTART_MS = 60_000;

/** @param out directory for the console's log */
export async function measureGuest(counts: GuestCounts, out: string, say: (text: string) => void) {
  say('guest: booting');
  await using bench = await bootBenchGuest(out);
  const figures: Figure[] = [];
  {
    await using ttrpc = await bench.connect('ttrpc');
    await ttrpc.kata.createSandbox({ sandboxId: 'bench', hostname: 'bench' });
    say('guest: memory at rest');
    const [idle] = await agentMemory(ttrpc, [IDLE_SECONDS]);
    await using grpc = await bench.connect('grpc');
    await using own = await connect(bench.guest.address, { name: 'bench' });
    const passed = { machine: bench.guest, port: PASSFD_PORT, client: ttrpc };
    const container = await createContainer(ttrpc.kata, { args: ['sleep', 'inf'], rootfs: BUSYBOX });
    await container.start();
    figures.push(...(await measureTurns({ address: bench.guest.address, ttrpc, grpc, own, passed, container }, counts, say)));
    figures.push(...(await measureChecks(ttrpc, container, BUSYBOX, counts, say)));
    say('guest: memory after load');
    await stdoutRate(ttrpc, container, counts.loadBytes, 2);
    const [loaded, later] = await agentMemory(ttrpc, [0, AFTER_LOAD_SECONDS]);
    for (const [when, use] of [
      ['idle', idle],
      ['after load', loaded],
      [`${AFTER_LOAD_SECONDS} s after load`, later],
    ] as const) {
      figures.push({ place: 'guest', name: `agent private memory, ${when}`, unit: 'MiB', samples: [use!.privateMiB] });
      figures.push({ place: 'guest', name: `agent PSS, ${when}`, unit: 'MiB', samples: [use!.pssMiB] });
    }
    await container.remove();
  }
  say(`guest: ${counts.restarts} restarts of the agent`);
  figures.push(...(await measureStarts(bench, counts.restarts)));
  return { figures, way: `${bench.guest.way}, ${bench.guest.accel}` };
}

/** The first start by the log alone; the later ones, after a kill, by the start time that the kernel keeps. */
async function measureStarts(bench: BenchGuest, restarts: number): Promise<Figure[]> {
  const [first] = bench.listening;
  const restarted: number[] = [];
  for (let restart = 1; restart <= restarts; restart++) {
    {
      await using client = await bench.connect('ttrpc');
      await killAgent(client);
    }
    const record = await nthListening(bench, restart + 1);
    await using client = await bench.connect('ttrpc');
    restarted.push(Number(record.uptime_ms) - (await agentStartedAtMs(client)));
  }
  const sinceInit = Number(first!.uptime_ms) - Number(first!.init_uptime_ms);
  return [
    { place: 'guest', ...KATA_BUDGET },
    { place: 'guest', name: 'VM start to first answer', unit: 'ms', samples: [bench.firstAnswerMs], against: KATA_BUDGET.name },
    { place: 'guest', name: 'PID 1 to agent listening, at boot', unit: 'ms', samples: [sinceInit] },
    { place: 'guest', name: 'agent, restart to listening', unit: 'ms', samples: restarted, against: NODE_START },
  ];
}

async function nthListening(bench: BenchGuest, nth: number) {
  const until = performance.now() + RESTART_MS;
  for (;;) {
    const record = bench.listening[nth - 1];
    if (record !== undefined) return record;
    if (performance.now() > until) throw new Error(`the agent was not back ${RESTART_MS} ms after it was killed`);
    await sleep(100);
  }
}
