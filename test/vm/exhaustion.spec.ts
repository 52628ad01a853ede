// A workload that takes all there is: the agent lives, a container beside it is untouched, and Check is answered all the while.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { AgentError, hasCode } from '../../agent/errors.ts';
import { connect } from '../../client/api/guest.ts';
import type { AgentClient } from '../../client/kata/agent-client.ts';
import { createContainer, type KataContainer } from '../../client/kata/container.ts';
import type { GuestProcess } from '../../client/kata/guest-process.ts';
import { kataClient } from '../../client/kata/services.ts';
import type { RpcChannel } from '../../client/rpc/channel.ts';
import { openChannel } from '../../client/rpc/open-channel.ts';
import { BOOT_TIMEOUT_MS, bootTestGuest, type TestGuest } from '../support/guest.ts';
import { type GuestProgram, startInGuest } from '../support/guest-program.ts';
import { runInGuest } from '../support/guest-resources.ts';
import { describeTimes, timeDuring } from '../support/latency.ts';
import { processesAt } from '../support/processes-client.ts';

/** Little, so that it is soon used up. */
const MEMORY_MIB = 320;
const PIDS = 1100;
/** That the kernel never gives out a second time. */
const PASSED_OVER = 300;
/** Fewer than are open at any time. */
const FEW_FDS = 16;
const FEW_FDS_S = 4;
const MANY_FDS = 1_048_576;
/** A Kata host gives up on an agent that does not answer for so long. */
const KATA_LIMIT_MS = 30_000;
const SIGKILL_STATUS = 137;

/** Two pieces, since the kernel refuses one that is obviously too much; filled by the kernel, which is quick. */
const HOG = `open Z, '/dev/zero'; sysread Z, my $a, 160 << 20; sysread Z, my $b, 160 << 20`;

/** Of every process but threads of the kernel: name, score, cgroup. */
const SCORES = `for p in /proc/[0-9]*; do read -r score < $p/oom_score_adj && read -r group < $p/cgroup && read -r name < $p/comm || continue
  read -r -d '' command < $p/cmdline; [ -n "$command" ] && echo "$name $score $group"; done 2>/dev/null; true`;
const LIMITS = `cd /sys/fs/cgroup; for f in agent/memory.min agent/cpu.weight workload/memory.max workload/pids.max; do echo $f $(cat $f); done
  echo total $(( $(sed -n 's/^MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo) * 1024 ))`;
const FIND_AGENT = `for p in $(cat /proc/1/task/1/children); do [ "$(cat /proc/$p/comm)" = kata-agent ] && agent=$p; done`;

/** What a process says, one answer at a time. */
class Listener {
  readonly #chunks: AsyncIterator<Uint8Array>;

  constructor({ stdout }: GuestProcess) {
    this.#chunks = stdout[Symbol.asyncIterator]();
  }

  async hear(end: RegExp): Promise<string> {
    let text = '';
    for (;;) {
      const { value, done } = await this.#chunks.next();
      text += Buffer.from(value ?? []).toString();
      const found = end.exec(text);
      if (found !== null) return found[1]!.trim();
      assert.ok(!done, `ended after ${JSON.stringify(text)}`);
    }
  }
}

describe('a workload that takes all there is', function () {
  this.timeout(180_000);
  let guest: TestGuest;
  let client: AgentClient;
  let channel: RpcChannel;
  let canary: KataContainer;
  let shell: GuestProgram;
  let fromCanary: Listener;
  let fromShell: Listener;
  let agent: string;

  before(async function () {
    this.timeout(BOOT_TIMEOUT_MS);
    guest = await bootTestGuest({ memory: MEMORY_MIB, cmdline: [`sysctl.kernel.pid_max=${PIDS}`] });
    client = await guest.connect('ttrpc');
    channel = await openChannel(guest.guest.address, { protocol: 'ttrpc' });
    // A connection that says nothing is closed.
    await kataClient(channel).health.check({});
    canary = await createContainer(client.kata, { args: ['cat'], rootfs: guest.busybox });
    fromCanary = new Listener(canary.init);
    await canary.start();
    shell = await startInGuest(client, ['sh']);
    fromShell = new Listener(shell.process);
    agent = await inShell(`${FIND_AGENT}; echo $agent`);
  });
  after(async () => {
    channel?.close();
    await client?.close();
    await guest?.[Symbol.asyncDispose]();
  });

  /** A command in a shell that runs already: nothing has to be started for it when it needs nothing but the shell. */
  async function inShell(command: string): Promise<string> {
    await shell.process.stdin.write(`${command}\necho end of it\n`);
    return await fromShell.hear(/^([\s\S]*?)end of it\n$/);
  }

  let lines = 0;
  /** The canary gives back what it is given. */
  async function canaryEchoes(): Promise<void> {
    const line = `line ${++lines}`;
    await canary.init.stdin.write(`${line}\n`);
    assert.equal(await fromCanary.hear(/^(line \d+)\n$/), line);
  }

  /** Does it, and asks for health all the while. */
  async function answeredDuring(what: string, work: Promise<unknown>): Promise<void> {
    const { health } = kataClient(channel);
    const times = await timeDuring(work, () => health.check({}, { timeoutMs: KATA_LIMIT_MS }));
    console.log(`      Check, ${what}: ${describeTimes(times)}`);
  }

  afterEach('the agent is the same, and the canary lives', async () => {
    await canaryEchoes();
    assert.equal(await inShell(`${FIND_AGENT}; echo $agent`), agent);
  });

  async function started(args: string[]): Promise<KataContainer> {
    const container = await createContainer(client.kata, { args, rootfs: guest.debian });
    await container.start();
    return container;
  }

  it('finds the agent in a cgroup of its own, last to be killed, and nothing else with its score', async () => {
    const exec = await canary.exec({ args: ['sleep', '600'] });
    const processes = (await runInGuest(client, ['bash', '-c', SCORES])).trim().split('\n');
    const low = processes.filter((line) => !/ 0 /.test(line));
    // Cgroups are told as they are seen from the probe's own.
    assert.match(low.join('\n'), /^kata-agent -997 0::[/.]*\/agent$/);
    assert.ok(processes.filter((line) => / 0 /.test(line)).length >= 5, processes.join('\n'));
    await exec.signal('SIGKILL');
    const limits = Object.fromEntries(
      (await runInGuest(client, ['sh', '-c', LIMITS]))
        .trim()
        .split('\n')
        .map((line) => line.split(' ')),
    );
    const reserve = Number(limits['total']) - Number(limits['workload/memory.max']);
    assert.ok(reserve >= 64 * 2 ** 20 && reserve <= 160 * 2 ** 20, `${reserve} bytes are kept back`);
    assert.ok(Math.abs(Number(limits['agent/memory.min']) - reserve / 2) <= 4096);
    assert.equal(limits['agent/cpu.weight'], '1000');
    assert.equal(Number(limits['workload/pids.max']), ((PIDS - PASSED_OVER) * 3) / 4);
  });

  it('kills what takes all the memory, and that alone', async () => {
    const hog = await started(['perl', '-e', HOG]);
    const status = hog.init.wait();
    await answeredDuring('while memory runs out', status);
    assert.equal(await status, SIGKILL_STATUS);
    await hog.remove();
  });

  it('refuses what there is no fd for, answers whom it knows, and goes on once there are', async () => {
    await using processes = await processesAt(guest.guest.address);
    const limit = (fds: number) => `prlimit --pid $agent --nofile=${fds}:1048576`;
    await processes.sh('', `${FIND_AGENT}; ${limit(FEW_FDS)}; sleep ${FEW_FDS_S}; ${limit(MANY_FDS)}`);
    const attempt = async () => (await canary.exec({ args: ['true'] })).wait();
    let refusal: unknown;
    const refused = (async () => {
      while (refusal === undefined) await attempt().catch((error: unknown) => (refusal = error));
    })();
    await answeredDuring('without an fd', refused);
    await canaryEchoes();
    assert.ok(hasCode(refusal, 'resource_exhausted'), String(refusal));
    for (let status = -1; status !== 0; ) status = await attempt().catch(() => sleep(200, -1));
  });

  it('refuses what there is no room for on a full state file system, still removes, and still runs what makes room', async () => {
    const old = await started(['sleep', '600']);
    await inShell('fallocate -l $(df --output=avail -B1 /run | tail -n 1) /run/fill; cat /dev/zero >> /run/fill-2 2>/dev/null');
    const refused = started(['true']).then(
      () => assert.fail('there was room after all'),
      (error: unknown) => error,
    );
    await answeredDuring('on a full state file system', refused);
    const error = await refused;
    await canaryEchoes();
    await old.remove();
    // What was removed has left room.
    await inShell('cat /dev/zero >> /run/fill-2 2>/dev/null');
    await using rescuer = await connect(guest.guest.address, { name: 'rescuer' });
    const rescue = await (await rescuer.run(['rm', '/run/fill', '/run/fill-2'])).wait();
    assert.equal(rescue.kind === 'exited' && rescue.code, 0, JSON.stringify(rescue));
    assert.ok(error instanceof AgentError);
    assert.ok(hasCode(error, 'resource_exhausted'), String(error));
    const next = await started(['true']);
    assert.equal(await next.init.wait(), 0);
    await next.remove();
  });

  it('bounds a container that takes every pid, and ends it', async () => {
    const program =
      'for (;;) { my $pid = fork; if (!defined $pid) { print "full\\n" if !$told++; sleep 1 } elsif (!$pid) { sleep 600; exit } }';
    const hog = await started(['perl', '-e', `$| = 1; ${program}`]);
    await answeredDuring('until there is no pid', new Listener(hog.init).hear(/^(full)\n$/));
    await canaryEchoes();
    // What the agent starts for itself, iptables-save here, has pids of its own.
    assert.ok((await client.kata.getIPTables({ isIpv6: false })).data);
    await answeredDuring('without a pid', hog.remove());
    assert.equal(await (await canary.exec({ args: ['true'] })).wait(), 0);
  });

  it('outlives a fork bomb, and ends it', async () => {
    const bomb = await started(['perl', '-e', 'for (;;) { fork }']);
    await answeredDuring('beside a fork bomb', sleep(4000));
    await canaryEchoes();
    await answeredDuring('while it is ended', bomb.remove());
    assert.equal(await (await canary.exec({ args: ['true'] })).wait(), 0);
  });
});
