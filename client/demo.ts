// What `npm start` shows: a guest boots, and two clients on connections of their own each run a container in it at the same
// time. Everything printed comes from the run; the exit status says whether it was as it should be.
import { describeError } from '../agent/errors.ts';
import { renderTable } from './cli/table.ts';
import type { AgentClient } from './kata/agent-client.ts';
import { connectKata } from './kata/connect.ts';
import { createContainer } from './kata/container.ts';
import { createSandbox } from './kata/sandbox.ts';
import { diskDevices, rootDisks } from './root-disks.ts';
import { bootGuest } from './vm/boot.ts';
import type { Guest } from './vm/guest.ts';

interface Part {
  client: string;
  protocol: 'ttrpc' | 'grpc';
  rootfs: string;
  script: string;
  /** What must come out for the demonstration to count. */
  expect: { stdout: RegExp; stderr: RegExp; exitCode: number };
}

const PARTS: readonly Part[] = [
  {
    client: 'client 1',
    protocol: 'ttrpc',
    rootfs: 'busybox',
    script:
      'echo "$(busybox | head -n1)"; echo "pid $$ of $(ls /bin | wc -l) programs, kernel $(uname -r)"; echo "this went to stderr" >&2; exit 3',
    expect: { stdout: /^BusyBox v\d/, stderr: /^this went to stderr\n$/, exitCode: 3 },
  },
  {
    client: 'client 2',
    protocol: 'grpc',
    rootfs: 'debian',
    script:
      '. /etc/os-release; echo "$PRETTY_NAME, $(ls /usr/bin | wc -l) programs"; touch /root/written && echo "wrote to the overlay"; ls /nowhere',
    expect: { stdout: /^Debian GNU\/Linux .*\nwrote to the overlay\n$/s, stderr: /nowhere/, exitCode: 2 },
  },
];

/** The first answers of a guest in emulation take seconds. */
const CONNECT_MS = 60_000;

interface Result {
  part: Part;
  exitCode: number;
  startedMs: number;
  firstByteMs: number;
  right: boolean;
}

async function main(): Promise<boolean> {
  const calledAt = performance.now();
  const since = () => performance.now() - calledAt;
  const disks = rootDisks();
  console.log('Booting a guest ...');
  await using guest = await bootGuest({ disks, onProgress: (text) => console.log(`  ${text.split('\n')[0]}`) });
  let firstAnswerMs = 0;
  const dial = async ({ protocol }: Part): Promise<AgentClient> => {
    const agent = await connectKata(guest.address, { protocol, timeoutMs: CONNECT_MS });
    firstAnswerMs ||= since();
    return agent;
  };
  const agents = await Promise.all(PARTS.map(dial));
  try {
    console.log(`Guest up: ${guest.way}, ${guest.accel}, agent at ${guest.address}, speaks Kata ${await agents[0]!.version()}\n`);
    await createSandbox(agents[0]!, 'berth-demo');
    const results = await Promise.all(PARTS.map((part, at) => runPart(part, agents[at]!, diskDevices(disks), since)));
    printTimeline(guest, firstAnswerMs, results);
    const left = await agents[0]!.containers();
    if (left.length > 0) console.log(`\nLeft behind: ${left.map(({ id }) => id).join(', ')}`);
    return results.every(({ right }) => right) && left.length === 0;
  } finally {
    await Promise.all(agents.map((agent) => agent.close()));
  }
}

async function runPart(part: Part, agent: AgentClient, devices: Record<string, string>, since: () => number): Promise<Result> {
  const rootfs = { kind: 'disk', device: devices[part.rootfs]!, fstype: 'erofs' } as const;
  const container = await createContainer(agent.kata, {
    id: `demo-${part.rootfs}`,
    rootfs,
    args: ['/bin/sh', '-c', part.script],
  });
  try {
    say(part, `container ${container.id} on the ${part.rootfs} root, over ${part.protocol}`);
    await container.start();
    const startedMs = since();
    await container.init.stdin.end();
    let firstByteMs = 0;
    const print = async (stream: AsyncIterable<Uint8Array>, name: string): Promise<string> => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of stream) {
        firstByteMs ||= since();
        chunks.push(chunk);
      }
      const text = Buffer.concat(chunks).toString();
      for (const line of text.split('\n').filter((line) => line !== '')) say(part, `${name}: ${line}`);
      return text;
    };
    const [stdout, stderr] = await Promise.all([print(container.init.stdout, 'stdout'), print(container.init.stderr, 'stderr')]);
    const exitCode = await container.init.wait();
    const { expect } = part;
    const right = expect.stdout.test(stdout) && expect.stderr.test(stderr) && exitCode === expect.exitCode;
    say(
      part,
      `exit code ${exitCode}${right ? '' : ` (WRONG: ${expect.exitCode}, ${expect.stdout} and ${expect.stderr} were expected)`}`,
    );
    return { part, exitCode, startedMs, firstByteMs, right };
  } finally {
    await container.remove();
  }
}

function say(part: Part, text: string): void {
  console.log(`[${part.client}] ${text}`);
}

function printTimeline(guest: Guest, firstAnswerMs: number, results: readonly Result[]): void {
  const { qemuStartMs, kernelMs, initMs, listeningMs } = guest.timeline();
  const stages: (readonly [string, number | undefined])[] = [
    ['QEMU start', qemuStartMs],
    ['kernel', kernelMs],
    ['PID 1', initMs],
    ['agent listening', listeningMs],
    ['first answer', firstAnswerMs],
    ...results.flatMap(({ part, startedMs, firstByteMs }) => [
      [`${part.client}: container started`, startedMs] as const,
      [`${part.client}: first byte`, firstByteMs] as const,
    ]),
  ];
  stages.sort(([, a = 0], [, b = 0]) => a - b);
  let before = 0;
  const rows = stages.map(([name, at]) => {
    if (at === undefined) return [name, '-', '-'];
    const row = [name, at.toFixed(0), `+${(at - before).toFixed(0)}`];
    before = at;
    return row;
  });
  console.log(
    `\n${renderTable([{ title: 'BOOT TIMELINE' }, { title: 'AT ms', align: 'right' }, { title: 'STEP ms', align: 'right' }], rows).trimEnd()}`,
  );
}

try {
  process.exitCode = (await main()) ? 0 : 1;
} catch (error) {
  console.error(`berth: the demonstration failed: ${describeError(error)}`);
  process.exitCode = 1;
}
