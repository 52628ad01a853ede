// The sandbox of a VM: made once after its boot, since CreateSandbox wipes what containers live in.
import { randomUUID } from 'node:crypto';
import type { AgentClient } from './agent-client.ts';

/** The guest's UTS name is a DNS label at most this long (Kata cuts there too). */
const MAX_HOSTNAME = 64;

export async function createSandbox(agent: AgentClient, hostname: string): Promise<void> {
  await agent.kata.createSandbox({ sandboxId: randomUUID(), hostname: hostname.slice(0, MAX_HOSTNAME) });
}
