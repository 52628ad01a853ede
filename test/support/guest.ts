// Booted guests for tests: one that all files of a run share, and others for a test that needs its own command line.
// A guest whose test fails shows the end of its console, and its console log is kept under build/test-logs.
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { AgentClient } from '../../client/kata/agent-client.ts';
import { connectKata } from '../../client/kata/connect.ts';
import type { Rootfs } from '../../client/rootfs.ts';
import type { Protocol } from '../../client/rpc/open-channel.ts';
import { bootGuest } from '../../client/vm/boot.ts';
import type { Guest } from '../../client/vm/guest.ts';
import type { BootOptions } from '../../client/vm/options.ts';

/** Boot and first answer under emulation, on a machine that does other things as well. */
export const BOOT_TIMEOUT_MS = 180_000;
const CONNECT_TIMEOUT_MS = 60_000;
const HOSTNAME = 'berth-test';
const CONSOLE_LINES = 40;
const ROOT = join(import.meta.dirname, '../..');
export const IMAGES = process.env['BERTH_IMAGE_DIR'] ?? join(ROOT, 'build/image');
/** The emulated host can't write to the checkout and names another place. */
const LOGS = process.env['BERTH_TEST_LOGS'] ?? join(ROOT, 'build/test-logs');

export interface TestGuest extends AsyncDisposable {
  readonly guest: Guest;
  readonly hostname: string;
  /** Container roots the guest has as disks. */
  readonly busybox: Rootfs;
  readonly debian: Rootfs;
  connect(protocol: Protocol): Promise<AgentClient>;
}

const running = new Set<Guest>();
let shared: Promise<TestGuest> | undefined;
let boots = 0;

/** The guest of this run, booted by the first test that asks. */
export function sharedGuest(): Promise<TestGuest> {
  shared ??= bootTestGuest();
  return shared;
}

export interface TestGuestOptions extends BootOptions {
  /** Whether it is a sandbox already. Default true. */
  sandbox?: boolean;
}

/** A guest, the caller's to dispose of. */
export async function bootTestGuest({ sandbox = true, ...options }: TestGuestOptions = {}): Promise<TestGuest> {
  await mkdir(LOGS, { recursive: true });
  const guest = await bootTwiceAtMost({
    cpus: Number(process.env['BERTH_TEST_CPUS'] ?? 2),
    disks: ['busybox', 'debian'].map((name) => ({ path: join(IMAGES, `${name}.erofs`), readonly: true, serial: name })),
    timeoutMs: BOOT_TIMEOUT_MS,
    ...options,
    cmdline: ['agent.log=debug', ...(options.cmdline ?? [])],
  });
  running.add(guest);
  const dial = (protocol: Protocol) => connectKata(guest.address, { protocol, timeoutMs: CONNECT_TIMEOUT_MS });
  if (sandbox) {
    await using client = await dial('ttrpc');
    await client.kata.createSandbox({ sandboxId: 'test', hostname: HOSTNAME });
  }
  return {
    guest,
    hostname: HOSTNAME,
    busybox: { kind: 'disk', device: '/dev/vdb', fstype: 'erofs' },
    debian: { kind: 'disk', device: '/dev/vdc', fstype: 'erofs' },
    connect: dial,
    [Symbol.asyncDispose]: async () => {
      running.delete(guest);
      await guest.stop();
    },
  };
}

/**
 * QEMU's emulation of several processors has been seen to run into kernel code that was being patched, and the kernel to panic before it had
 * started anything of ours. That is told and tried once more; a panic that comes later is not.
 */
async function bootTwiceAtMost(options: BootOptions): Promise<Guest> {
  const consoleLog = join(LOGS, `${process.pid}-${boots++}.console.log`);
  try {
    return await bootGuest({ consoleLog, ...options });
  } catch (error) {
    const said = await readFile(consoleLog, 'utf8').catch(() => '');
    if (!said.includes('Kernel panic') || said.includes('kata-agent')) throw error;
    console.warn(`the kernel panicked before PID 1 (${consoleLog}); the guest is booted once more`);
    return await bootGuest({ ...options, consoleLog: join(LOGS, `${process.pid}-${boots++}.console.log`) });
  }
}

afterEach(function () {
  if (this.currentTest?.state !== 'failed') return;
  for (const guest of running) {
    console.error(`console of ${guest.name} (whole: ${guest.consoleLog}):`);
    for (const line of guest.consoleTail(CONSOLE_LINES)) console.error(`  | ${line}`);
  }
});

after(async function () {
  this.timeout(30_000);
  await (await shared)?.[Symbol.asyncDispose]();
});
