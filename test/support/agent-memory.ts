// What the agent holds in memory, looked at from inside its guest, or on this machine for a native agent: a program that it starts there is a
// child of berth-init, as the agent is.
import type { Guest } from '../../client/api/guest.ts';
import { parseSmapsRollup } from '../bench/report/smaps.ts';

export interface AgentMemory {
  /** Private and written to: heap, buffers, stacks. What readers and clients cost shows here. */
  readonly privateMiB: number;
  readonly pssMiB: number;
  /** Pages of the memory files that hold output and input: the kernel's, not in the figures above, bounded by the budget of logs. */
  readonly logsMiB: number;
  readonly fds: number;
}

const LOOK = `for pid in $(cat /proc/$PPID/task/$PPID/children); do [ "$(cat /proc/$pid/comm)" = kata-agent ] && agent=$pid; done
cat /proc/$agent/smaps_rollup
echo fds $(ls /proc/$agent/fd | wc -l)
find /proc/$agent/fd -lname '/memfd:*' -exec stat -L -c 'memfd %i %b' {} +`;
/** Of st_blocks (man 3 stat). */
const BLOCK_BYTES = 512;

export async function agentMemory(guest: Guest): Promise<AgentMemory> {
  await using look = await guest.run(['sh', '-c', LOOK]);
  const [text, errors] = await Promise.all([look.stdout.text(), look.stderr.text()]);
  const { privateMiB, pssMiB } = parseSmapsRollup(text + errors);
  // A ring has two descriptions of one file.
  const blocks = new Map([...text.matchAll(/^memfd (\d+) (\d+)$/gm)].map(([, inode, count]) => [inode, Number(count)]));
  let logs = 0;
  for (const count of blocks.values()) logs += count * BLOCK_BYTES;
  return { privateMiB, pssMiB, logsMiB: logs / 2 ** 20, fds: Number(/^fds (\d+)$/m.exec(text)?.[1]) };
}

export function describeMemory({ privateMiB, pssMiB, logsMiB, fds }: AgentMemory): string {
  return `private ${privateMiB.toFixed(1)}, PSS ${pssMiB.toFixed(1)}, logs ${logsMiB.toFixed(1)} MiB, ${fds} fds`;
}
