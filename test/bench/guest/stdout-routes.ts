// How fast one process's stdout reaches one client by the routes that are no polling: attached over berth.v1, and on a connection of its own.
import type net from 'node:net';
import type { Guest } from '../../../client/api/guest.ts';
import type { AgentClient } from '../../../client/kata/agent-client.ts';
import type { KataContainer } from '../../../client/kata/container.ts';
import type { Guest as MachineGuest } from '../../../client/vm/guest.ts';
import { openPassed } from '../../support/passed-connections.ts';

const WRITE_BYTES = 64 * 1024;
const zeros = (count: number) => ['dd', 'if=/dev/zero', `bs=${WRITE_BYTES}`, `count=${count}`];

/** MB/s of `bytes` zeros, rounded up to whole writes, of a process in the container, over one Attach call. */
export async function attachRate(guest: Guest, { id }: Pick<KataContainer, 'id'>, bytes: number): Promise<number> {
  const count = Math.ceil(bytes / WRITE_BYTES);
  await using process = await guest.container(id).run(zeros(count));
  const from = performance.now();
  let total = 0;
  for await (const chunk of process.stdout) total += chunk.length;
  return rate(total, count, performance.now() - from);
}

export interface PassedRoute {
  readonly machine: MachineGuest;
  /** agent.passfd_listener_port */
  readonly port: number;
  readonly client: AgentClient;
}

let passed = 0;

/** The same on a connection that carries nothing else (docs/streams.md, "Connections of the client's own"). */
export async function passedRate(
  { machine, port, client }: PassedRoute,
  { id }: Pick<KataContainer, 'id'>,
  bytes: number,
): Promise<number> {
  const count = Math.ceil(bytes / WRITE_BYTES);
  const stdout = await openPassed(machine, port);
  const execId = `passed-rate-${passed++}`;
  const from = performance.now();
  await client.kata.execProcess({
    containerId: id,
    execId,
    process: { Args: zeros(count), Env: ['PATH=/bin:/usr/bin'], Cwd: '/' },
    stdoutPort: stdout.port,
  });
  const total = await drain(stdout.socket);
  const elapsed = performance.now() - from;
  await client.kata.waitProcess({ containerId: id, execId });
  return rate(total, count, elapsed);
}

async function drain(socket: net.Socket): Promise<number> {
  let total = 0;
  for await (const chunk of socket) total += (chunk as Buffer).length;
  return total;
}

function rate(total: number, count: number, elapsedMs: number): number {
  if (total !== count * WRITE_BYTES) throw new Error(`${total} of ${count * WRITE_BYTES} bytes of stdout came`);
  return total / 1e3 / elapsedMs;
}
