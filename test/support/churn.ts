// Hours of a busy host in little time: connections that come and go, calls, containers, streams; and connections that stay and must never be lost.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type Guest } from '../../client/api/guest.ts';
import type { AgentClient } from '../../client/kata/agent-client.ts';
import { createContainer } from '../../client/kata/container.ts';
import type { Protocol } from '../../client/rpc/open-channel.ts';
import type { TestGuest } from './guest.ts';

export interface ChurnCounts {
  connects: number;
  calls: number;
  cycles: number;
  execs: number;
  processes: number;
  streamedBytes: number;
  /** Connections that ended though nobody here ended them. */
  lost: number;
}

const KEPT: readonly Protocol[] = ['ttrpc', 'grpc', 'ttrpc', 'grpc'];
const CALL_PAUSE_MS = 50;
const LINES = 2_000;

export async function churn(guest: TestGuest, durationMs: number): Promise<ChurnCounts> {
  const counts: ChurnCounts = { connects: 0, calls: 0, cycles: 0, execs: 0, processes: 0, streamedBytes: 0, lost: 0 };
  const until = performance.now() + durationMs;
  const over = () => performance.now() > until;
  const repeat = async (once: () => Promise<void>) => {
    while (!over()) await once();
  };
  const watched = async (protocol: Protocol) => watchLoss(await guest.connect(protocol), counts);
  const kept = await Promise.all(KEPT.map(watched));
  const comeAndGo = (protocol: Protocol) => async () => {
    const { client, close } = await watched(protocol);
    counts.connects++;
    for (let call = 0; call < 3; call++) {
      await client.version();
      counts.calls++;
    }
    await close();
  };
  const ask =
    ({ client }: Watched) =>
    async () => {
      await client.version();
      counts.calls++;
      await sleep(CALL_PAUSE_MS);
    };
  const own = await connect(guest.guest.address, { name: 'churn' });
  try {
    await Promise.all([
      ...KEPT.slice(0, 2).map((protocol) => repeat(comeAndGo(protocol))),
      ...kept.map((each) => repeat(ask(each))),
      repeat(() => cycle(kept[0]!.client, guest, counts)),
      repeat(() => stream(own, counts)),
    ]);
  } finally {
    for (const { close } of kept) await close();
    await own.close();
  }
  return counts;
}

interface Watched {
  readonly client: AgentClient;
  close(): Promise<void>;
}

function watchLoss(client: AgentClient, counts: ChurnCounts): Watched {
  let wanted = false;
  void client.closed.then(() => {
    if (!wanted) counts.lost++;
  });
  return {
    client,
    close: async () => {
      wanted = true;
      await client.close();
    },
  };
}

async function cycle(client: AgentClient, guest: TestGuest, counts: ChurnCounts): Promise<void> {
  const container = await createContainer(client.kata, { args: ['sleep', 'inf'], rootfs: guest.busybox });
  try {
    await container.start();
    const process = await container.exec({ args: ['sh', '-c', `echo ${counts.cycles}; exit ${counts.cycles % 256}`] });
    const { stdout, exitCode } = await process.collect();
    assert.deepEqual([stdout.toString().trim(), exitCode], [`${counts.cycles}`, counts.cycles % 256]);
    counts.execs++;
  } finally {
    await container.remove();
  }
  counts.cycles++;
}

async function stream(guest: Guest, counts: ChurnCounts): Promise<void> {
  const { generation, clientId } = guest.hello;
  await using process = await guest.run(['seq', '1', `${LINES}`]);
  const text = await process.stdout.text();
  assert.equal(text.length, Array.from({ length: LINES }, (_, index) => `${index + 1}\n`).join('').length);
  counts.streamedBytes += text.length;
  counts.processes++;
  // The client redials by itself; that would be a lost connection all the same.
  if (guest.hello.clientId !== clientId || guest.hello.generation !== generation) counts.lost++;
}
