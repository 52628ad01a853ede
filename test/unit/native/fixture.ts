// What the addon's tests share: programs run through `spawn`, and a view of this process's own fd table.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { type ChildExit, native, type Spawned, type SpawnSpec } from '../../../native/index.ts';

/** Open fds and what each leads to, but for the one that reads the table. */
export function openFds(): Map<number, string> {
  const table = new Map<number, string>();
  for (const name of readdirSync('/proc/self/fd')) {
    try {
      table.set(Number(name), readlinkSync(`/proc/self/fd/${name}`));
    } catch {
      // The table's own fd is gone again.
    }
  }
  return table;
}

/** Runs `body` once to warm up, then `times` more, and asserts that the fd table came back to what it was. */
export async function assertNoFdLeak(times: number, body: () => void | Promise<void>): Promise<void> {
  await body();
  await turn();
  const before = openFds();
  for (let i = 0; i < times; i++) await body();
  await turn();
  const left = [...openFds()].filter(([fd]) => !before.has(fd));
  assert.deepEqual(left, [], 'fds left open');
}

/** Lets the loop run its close callbacks. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
}

export function spawn(file: string, args: readonly string[] = [], more: Partial<SpawnSpec> = {}): Spawned {
  return native().spawn({ file, args: [file, ...args], env: ['PATH=/usr/sbin:/usr/bin:/sbin:/bin'], fds: [-1, -1, -1], ...more });
}

/** Waits for the end, reaps, closes the pidfd. */
export function exitOf(child: Spawned): Promise<ChildExit> {
  return new Promise((resolve) => {
    native().watchChild(child.pidfd, (exit) => {
      native().close(child.pidfd);
      resolve(exit);
    });
  });
}

export interface Output {
  stdout: string;
  exit: ChildExit;
}

/** Runs a program to its end; its stdout is a pipe at fd 1, or at the place of 'stdout' in `fds`. */
export async function run(file: string, args: readonly string[] = [], more: Partial<SpawnSpec> = {}): Promise<Output> {
  const [readEnd, writeEnd] = native().pipe();
  const child = spawn(file, args, { fds: [-1, writeEnd, 2], ...more });
  native().close(writeEnd);
  const stdout = readFileSync(readEnd, 'utf8');
  native().close(readEnd);
  return { stdout, exit: await exitOf(child) };
}

/** Runs shell text. */
export function sh(script: string, more: Partial<SpawnSpec> = {}): Promise<Output> {
  return run('/bin/sh', ['-c', script], more);
}

/**
 * Runs a module's text in a Node of its own, with the same addon, at `addon` in its scope.
 * @param prefix what to put before node on the command line, such as `unshare --uts`
 * @param env added to ours
 */
export function runNode(script: string, prefix = '', env: Record<string, string> = {}): Promise<Output> {
  const door = new URL('../../../native/index.ts', import.meta.url).href;
  const module = `const addon = (await import(${JSON.stringify(door)})).native();\n${script}`;
  const command = `${prefix} "$0" --input-type=module -e "$1"`;
  const entries = Object.entries({ ...process.env, ...env }).map(([key, value]) => `${key}=${value}`);
  return sh(command, { args: ['sh', '-c', command, process.execPath, module], env: entries });
}

/** Whether this process holds a capability (bit number of linux/capability.h). */
export function hasCapability(bit: number): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'));
  return ((BigInt(`0x${effective?.[1] ?? 0}`) >> BigInt(bit)) & 1n) === 1n;
}
export const CAP_SYS_ADMIN = 21;

/** Zombie children of this process. */
export function zombies(): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/stat`, 'utf8');
      } catch {
        return '';
      }
    })
    .filter((stat) => {
      const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return state === 'Z' && Number(parent) === process.pid;
    });
}

/** Matches a system error of the addon. */
export function systemError(code: string, syscall: string, path?: string): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof Error);
    const { errno, ...fields } = error as NodeJS.ErrnoException;
    assert.deepEqual({ ...fields }, { code, syscall, ...(path === undefined ? {} : { path }) });
    assert.ok(typeof errno === 'number' && errno < 0, `errno is ${errno}`);
    assert.ok(error.message.startsWith(`${code}: `) && error.message.includes(`, ${syscall}`), error.message);
    return true;
  };
}
