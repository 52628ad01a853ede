// What the guest holds on to, counted from inside: a container whose root is the guest's own root looks around.
import assert from 'node:assert/strict';
import type { AgentClient } from '../../client/kata/agent-client.ts';
import type { TestGuest } from './guest.ts';
import { startInGuest } from './guest-program.ts';

export interface GuestResources {
  /** Open fds of the agent. */
  agentFds: number;
  zombies: number;
  cgroups: number;
  mounts: number;
  /** Files and directories below /run. */
  runEntries: number;
}

/** Counts one figure a line; the probe's own share is the same each time. */
const COUNT = `
for pid in $(cat /proc/1/task/1/children); do [ "$(cat /proc/$pid/comm)" = kata-agent ] && agent=/proc/$pid; done
echo agentFds $(ls $agent/fd | wc -l)
echo zombies $(cat /proc/[0-9]*/stat 2>/dev/null | sed 's/.*) //' | grep -c ^Z)
echo cgroups $(find /sys/fs/cgroup -type d | wc -l)
echo mounts $(wc -l < /proc/1/mountinfo)
echo runEntries $(find /run -xdev | wc -l)
`;

/** Guests that have been looked into once: the first container leaves what all of a sandbox share, such as its pid namespace's fd. */
const settled = new WeakSet<TestGuest>();

export async function guestResources(guest: TestGuest): Promise<GuestResources> {
  if (!settled.has(guest)) {
    settled.add(guest);
    await guestResources(guest);
  }
  await using client = await guest.connect('ttrpc');
  const text = await runInGuest(client, ['sh', '-c', COUNT]);
  const figures = Object.fromEntries(
    text
      .trim()
      .split('\n')
      .map((line) => [line.split(' ')[0], Number(line.split(' ')[1])]),
  );
  for (const [name, value] of Object.entries(figures)) assert.ok(Number.isInteger(value), `${name} is ${value}: ${text}`);
  assert.ok(figures['agentFds']! > 0, 'the agent was not found');
  return figures as unknown as GuestResources;
}

/** Runs a program in the guest itself to its end. Returns stdout; a failure is an assertion with stderr. */
export async function runInGuest(client: AgentClient, args: string[], env: string[] = []): Promise<string> {
  const program = await startInGuest(client, args, { env });
  try {
    const { stdout, stderr, exitCode } = await program.process.collect();
    assert.equal(exitCode, 0, `${args.join(' ')}: status ${exitCode}: ${stderr}${stdout}`);
    return stdout.toString();
  } finally {
    await program.remove();
  }
}
