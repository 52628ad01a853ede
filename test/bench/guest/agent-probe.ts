// What only a look from inside tells of the agent: its memory, when it started, and how it comes back when it is killed.
import { setTimeout as sleep } from 'node:timers/promises';
import type { AgentClient } from '../../../client/kata/agent-client.ts';
import { startInGuest } from '../../support/guest-program.ts';
import { runInGuest } from '../../support/guest-resources.ts';
import { type MemoryUse, parseSmapsRollup } from '../report/smaps.ts';

/** Sets $agent. */
export const FIND_AGENT = `for pid in $(cat /proc/1/task/1/children); do [ "$(cat /proc/$pid/comm)" = kata-agent ] && agent=$pid; done;`;
/** Of the start time in /proc/pid/stat: USER_HZ is 100. */
const MS_PER_TICK = 10;
/** From the wish for the kill to the end of the connection. */
const KILL_MS = 5_000;

/** The agent's memory after each of `delays` seconds, counted one after the other; it gets no call in between. */
export async function agentMemory(client: AgentClient, delays: readonly number[]): Promise<MemoryUse[]> {
  const looks = delays.map((seconds) => `sleep ${seconds}; cat /proc/$agent/smaps_rollup; echo ===`).join('; ');
  const text = await runInGuest(client, ['sh', '-c', `${FIND_AGENT} ${looks}`]);
  return text.split('===\n').slice(0, delays.length).map(parseSmapsRollup);
}

/** On the clock of the log's uptime_ms, to 10 ms. */
export async function agentStartedAtMs(client: AgentClient): Promise<number> {
  const stat = await runInGuest(client, ['sh', '-c', `${FIND_AGENT} cat /proc/$agent/stat`]);
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(fields[22 - 3]) * MS_PER_TICK;
}

/**
 * The agent gets a SIGKILL from the kernel; berth-init starts the next one at once. A program in a container cannot signal
 * a process of the guest's PID namespace, but it may ask for an out-of-memory kill and say of whom (Documentation/admin-guide/sysrq).
 */
export async function killAgent(client: AgentClient): Promise<void> {
  const script = `${FIND_AGENT} echo 1000 > /proc/$agent/oom_score_adj; echo f > /proc/sysrq-trigger`;
  const killed = startInGuest(client, ['sh', '-c', script]);
  await Promise.race([killed.catch(() => {}), client.closed]);
  await Promise.race([client.closed, sleep(KILL_MS, undefined, { ref: false })]);
}
