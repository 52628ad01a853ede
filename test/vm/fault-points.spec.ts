// The agent dies at each labelled point of create, start, exec, remove and copy, on a booted guest: what was interrupted is whole or undone,
// what runs beside it notices nothing, nothing is left. Figures are printed.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Container } from '../../client/api/container.ts';
import { connect, type Guest } from '../../client/api/guest.ts';
import type { Process } from '../../client/api/process.ts';
import { buildFaultyAgent } from '../../scripts/build-agent.ts';
import { FAULT_CASES } from '../support/fault-cases.ts';
import { BOOT_TIMEOUT_MS, bootTestGuest, type TestGuest } from '../support/guest.ts';
import { type GuestResources, guestResources } from '../support/guest-resources.ts';

const CASES = FAULT_CASES.filter(({ always }) => always === true || process.env['BERTH_TEST_LONG'] !== undefined);
const LABEL_FILE = '/run/fault-label';
const END = '::end';
const SHELL = `while read -r line; do eval "$line" < /dev/null; printf '%s\\n' '${END}'; done`;
/** Here each by its name, so that one that is left can be told. */
const FILES = 'find /run -xdev | sort';
const COUNT = 'n=0; while [ ! -e /stop ]; do echo $n; n=$((n+1)); sleep 0.2; done; exit 9';

describe('the death of the agent at a labelled point', function () {
  this.timeout(120_000);
  let booted: TestGuest;
  let guest: Guest;
  let shell: Process;
  let lines: AsyncIterator<string>;
  let resources: GuestResources;
  let files: string;
  let canary: Container;
  let counting: Process;
  let counted: Promise<string>;
  const times: number[] = [];

  before(async function () {
    this.timeout(2 * BOOT_TIMEOUT_MS);
    const folder = await mkdtemp(join(tmpdir(), 'berth-faulty-'));
    await buildFaultyAgent(folder, LABEL_FILE);
    booted = await bootTestGuest({ cmdline: ['berth-init.restart-limit=100000', 'berth-init.max-delay=1'] });
    guest = await connect(booted.guest.address, { name: 'faults', patienceMs: 120_000 });
    await guest.upgrade(folder);
    await rm(folder, { recursive: true });
    shell = await guest.run(['sh', '-c', SHELL], { stdin: true, lifetime: 'keep' });
    lines = shell.stdout.lines()[Symbol.asyncIterator]();
    await sh('mkdir -p /run/kata-containers/shared/containers');
    // crun makes a directory of its own with the first one, for all.
    await (await guest.create({ rootfs: booted.busybox, args: ['true'] })).remove();
    resources = await guestResources(booted);
    files = await sh(FILES);
    canary = await guest.create({ id: 'canary', rootfs: booted.busybox, args: ['sleep', 'inf'] });
    await canary.start();
    counting = await canary.run(['sh', '-c', COUNT], { lifetime: 'keep' });
    counted = counting.stdout.text();
  });
  after(async () => {
    await guest?.close();
    await booted?.[Symbol.asyncDispose]();
  });

  for (const [index, { label, operation, run }] of CASES.entries()) {
    it(`${label}, ${operation}: once, and it is whole or undone`, async () => {
      const { generation } = await guest.info();
      const began = performance.now();
      const arm = async () => void (await sh(`printf %s '${label}' > ${LABEL_FILE}.new; mv ${LABEL_FILE}.new ${LABEL_FILE}`));
      await run({ booted, guest, canary, id: `fault-${index}-x`, arm, sh });
      times.push(performance.now() - began);
      const info = await guest.info();
      assert.deepEqual([info.generation - generation, info.degraded], [1, '']);
      assert.equal(await sh(`ls ${LABEL_FILE}*`), '');
      assert.equal((await counting.inspect()).exit ?? undefined, undefined);
    });
  }

  it('leaves the canary its every byte and its exit, and nothing of the rest', async () => {
    await canary.files.write('/stop', '');
    const ending = await counting.wait();
    assert.equal(ending.kind === 'exited' && ending.code, 9);
    const text = await counted;
    const numbers = text.trimEnd().split('\n');
    assert.equal(text, Array.from({ length: numbers.length }, (_, n) => `${n}\n`).join(''));
    await counting.forget();
    await canary.remove();
    // Connections that broke are closed on both sides by then.
    await sleep(3_000);
    assert.equal(await sh(FILES), files);
    assert.deepEqual(await guestResources(booted), resources);
    const total = times.reduce((sum, ms) => sum + ms, 0);
    console.log(
      `      ${times.length} deaths; ${Math.round(total / times.length)} ms each with its operation and its repeat; the canary counted to ${numbers.length}`,
    );
  });

  /** What the line says, by the shell that has been in the guest all the while. */
  async function sh(line: string): Promise<string> {
    await shell.stdin.write(`${line}\n`);
    let said = '';
    for (let next = await lines.next(); !next.done; next = await lines.next()) {
      if (next.value === END) return said;
      said += `${next.value}\n`;
    }
    throw new Error(`the shell has ended: ${line}`);
  }
});
