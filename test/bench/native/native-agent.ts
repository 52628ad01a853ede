// The agent on this machine: the image's own files, under berth-init, with the flags and the compile cache of the guest.
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type Pinned, startPinned } from './pinned.ts';

/** What the image build puts into the image: node, and agent/ with the bundle, the addon and init. */
const GUEST_FILES = join(import.meta.dirname, '../../../build/guest');
/** As berth-init gives them in the guest (native/init/supervise.c). */
export const NODE_FLAGS = ['--max-semi-space-size=1', '--max-old-space-size=64', '--v8-pool-size=1'];

/** A directory for sockets, state and the compile cache of the agents that are started in it. */
export interface Workshop extends AsyncDisposable {
  readonly directory: string;
  readonly cpu: number;
  /** Node, berth-init and the bundle. */
  readonly files: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Fills the compile cache, as the image build does. */
export async function openWorkshop(cpu: number, files = GUEST_FILES): Promise<Workshop> {
  const directory = await mkdtemp(join(tmpdir(), 'berth-bench-'));
  const env = {
    NODE_COMPILE_CACHE: join(directory, 'cache'),
    UV_THREADPOOL_SIZE: '16',
    UV_USE_IO_URING: '0',
    KATA_AGENT_SERVER_ADDR: `unix://${join(directory, 'agent.sock')}`,
    BERTH_STATE_DIR: join(directory, 'state'),
    BERTH_BUNDLE_DIR: join(directory, 'bundles'),
  };
  await promisify(execFile)(join(files, 'node'), [join(files, 'agent/main.js'), '--warm-up'], { env });
  return { directory, cpu, files, env, [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }) };
}

export interface NativeAgent extends AsyncDisposable {
  readonly socket: string;
  /** From the start of berth-init to the line that says it listens. */
  readonly startMs: number;
  /** From the start of berth-init to the first connection accepted, for a host that redials without a pause. */
  readonly acceptedMs: number;
  smapsRollup(): Promise<string>;
}

export async function startAgent(workshop: Workshop): Promise<NativeAgent> {
  const socket = join(workshop.directory, 'agent.sock');
  await rm(socket, { force: true });
  const accepted = untilAccepted(socket);
  const init = await startSupervised(workshop, [join(workshop.files, 'agent/main.js')], '"agent listening"');
  const startMs = performance.now() - init.startedAt;
  const acceptedMs = (await accepted) - init.startedAt;
  const children = await readFile(`/proc/${init.pid}/task/${init.pid}/children`, 'utf8');
  return {
    socket,
    startMs,
    acceptedMs,
    smapsRollup: () => readFile(`/proc/${children.trim()}/smaps_rollup`, 'utf8'),
    [Symbol.asyncDispose]: () => init[Symbol.asyncDispose](),
  };
}

/** One that berth-init starts again as often as it dies. */
export async function startAgentAgain(workshop: Workshop): Promise<{ socket: string; pid(): Promise<number> } & AsyncDisposable> {
  const socket = join(workshop.directory, 'agent.sock');
  const pidFile = join(workshop.directory, 'agent.pid');
  await rm(socket, { force: true });
  const options = ['--pid-file', pidFile, '--restart-limit', '100000', '--max-delay', '1'];
  const init = await startSupervised(workshop, [join(workshop.files, 'agent/main.js')], '"agent listening"', options);
  return {
    socket,
    pid: async () => Number(await readFile(pidFile, 'utf8')),
    [Symbol.asyncDispose]: () => init[Symbol.asyncDispose](),
  };
}

/** When a connection was accepted, on performance.now()'s clock; dials as Kata's hosts do, again and again. */
export async function untilAccepted(path: string): Promise<number> {
  for (;;) {
    const accepted = await new Promise<boolean>((resolve) => {
      const socket = net.connect(path);
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
      socket.once('close', () => resolve(false)).once('connect', () => socket.destroy());
    });
    if (accepted) return performance.now();
    await sleep(1);
  }
}

/** Milliseconds that Node itself takes, started in the same way, to print a line. */
export async function nodeFloorMs(workshop: Workshop): Promise<number> {
  await using node = await startSupervised(workshop, ['-e', 'console.log("ready"); setInterval(() => {}, 1e6)'], 'ready');
  return performance.now() - node.startedAt;
}

/** Resolves with the first line that holds `text`. */
async function startSupervised(
  { cpu, env, files }: Workshop,
  args: readonly string[],
  text: string,
  options: readonly string[] = ['--no-restart'],
): Promise<Pinned> {
  const init = startPinned(
    cpu,
    [join(files, 'agent/berth-init'), ...options, '--', join(files, 'node'), ...NODE_FLAGS, ...args],
    env,
  );
  await init.line((line) => line.includes(text));
  return init;
}
