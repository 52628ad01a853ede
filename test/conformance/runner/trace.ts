// What is there in the guest: mounts, cgroups, processes, files, open fds of the agent, zombies. Two looks, and what came and went
// between them.
import { setTimeout as sleep } from 'node:timers/promises';
import type { GuestShell } from './guest-shell.ts';

/** Things by their line, with how many there are. */
export type Trace = ReadonlyMap<string, number>;

/**
 * By what the shell can do itself, since a program that has to be started costs a slow guest far more. Agents keep files of their own
 * elsewhere below /run, as they like; fds and mounts tell of those. What is mounted in a bundle is not looked into.
 */
const LOOK = `
while read -r id parent device root at rest; do echo "mount $at"; done < /proc/1/mountinfo
cgroups() {
  for entry in "$1"/*/; do
    [ -d "$entry" ] || continue
    entry=\${entry%/}
    echo "cgroup \${entry#/sys/fs/cgroup}"
    cgroups "$entry"
  done
}
cgroups /sys/fs/cgroup
files() {
  for entry in "$1"/*; do
    [ -e "$entry" ] || [ -L "$entry" ] || continue
    echo "file \${entry#$G}"
    [ -d "$entry" ] && [ ! -L "$entry" ] && case "$entry" in */rootfs | */lower) ;; *) files "$entry" ;; esac
  done
}
files $G/run/kata-containers
files $G/run/sandbox-ns
for p in /proc/[0-9]*; do
  read -r comm < $p/comm || continue
  echo "process $comm"
  [ "$comm" = kata-agent ] && for fd in $p/fd/*; do
    kind=other
    [ -p "$fd" ] && kind=pipe || { [ -S "$fd" ] && kind=socket; } || { [ -c "$fd" ] && kind=device; } || { [ -f "$fd" ] && kind=file; } ||
      { [ -d "$fd" ] && kind=directory; }
    echo "fd $kind"
  done
done 2>/dev/null
true
`;

/** crun may be just ending; the rest are the kernel's own, which come and go as it likes. */
const PASSING = /^process (crun|(kworker|loop|jbd2|ext4|erofs|psimon|irq|mld|dio|kdmflush|zswap|swap).*)$/;
/** How long what is ending may take: a drain of output, a removed cgroup, a connection the agent has not yet seen close. */
const SETTLE_MS = 3_000;
const AGAIN_MS = 50;

export async function look(shell: GuestShell): Promise<Trace> {
  const { text } = await shell.run(LOOK);
  const counts = new Map<string, number>();
  for (const line of text.split('\n')) {
    if (line !== '' && !PASSING.test(line)) counts.set(line, (counts.get(line) ?? 0) + 1);
  }
  return counts;
}

export interface Change {
  readonly came: readonly string[];
  readonly went: readonly string[];
}

export function change(before: Trace, after: Trace): Change {
  const came: string[] = [];
  const went: string[] = [];
  for (const line of new Set([...before.keys(), ...after.keys()])) {
    const more = (after.get(line) ?? 0) - (before.get(line) ?? 0);
    if (more > 0) came.push(more > 1 ? `${line} (${more} times)` : line);
    if (more < 0) went.push(line);
  }
  return { came, went };
}

/**
 * Looks until nothing differs from `before`, or for as long as what is ending may take.
 * @param fds whether the agent's open fds count: not while a case still holds its connection
 */
export async function settled(
  shell: GuestShell,
  before: Trace,
  { fds }: { fds: boolean },
): Promise<{ trace: Trace; left: Change }> {
  const deadline = performance.now() + SETTLE_MS;
  for (;;) {
    const trace = await look(shell);
    const all = change(before, trace);
    const left = fds && fdGrowth(before, trace) !== 0 ? all : besidesFds(all);
    if ((left.came.length === 0 && left.went.length === 0) || performance.now() > deadline) return { trace, left };
    await sleep(AGAIN_MS);
  }
}

/** Open fds of the agent are counted by {@link fdsOf}: what else is there has to be the same, line by line. */
function besidesFds({ came, went }: Change): Change {
  const isOther = (line: string) => !line.startsWith('fd ');
  return { came: came.filter(isOther), went: went.filter(isOther) };
}

/** An agent may hold one or two more for a while: a connection that is ending, a namespace that it keeps for the next container. */
const FEW_FDS = 2;

function fdGrowth(before: Trace, after: Trace): number {
  const growth = fdsOf(after) - fdsOf(before);
  return Math.abs(growth) <= FEW_FDS ? 0 : growth;
}

/** Open fds of the agent, of every kind. */
export function fdsOf(trace: Trace): number {
  return [...trace].reduce((sum, [line, count]) => (line.startsWith('fd ') ? sum + count : sum), 0);
}

export function describeChange({ came, went }: Change): string {
  return [...came.map((line) => `+ ${line}`), ...went.map((line) => `- ${line}`)].join('; ');
}
