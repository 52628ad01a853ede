// How much slower the guest's processors are than this machine's: an emulated guest takes many times as long for everything, so
// a bound that is meant for real hardware is multiplied by this.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { AgentClient } from '../../client/kata/agent-client.ts';
import { runInGuest } from './guest-resources.ts';

const GUEST_NODE = '/usr/lib/berth/node';
/** What an agent does most: make, print and read values. Prints milliseconds. */
const WORK = `const from = performance.now(); const value = Array.from({ length: 200 }, (_, at) => ({ at, text: 'x'.repeat(at) }));
for (let round = 0; round < 100; round++) JSON.parse(JSON.stringify(value)); process.stdout.write(String(performance.now() - from))`;

/** At least 1. */
export async function slownessOf(client: AgentClient): Promise<number> {
  const guest = Number(await runInGuest(client, [GUEST_NODE, '-e', WORK]));
  const host = Number((await promisify(execFile)(process.execPath, ['-e', WORK])).stdout);
  return Math.max(1, guest / host);
}
