// A network namespace of a test's own on this machine, held by a process that sleeps in it. Needs root.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { runTool, type ToolOptions, type ToolOutput } from '../../agent/process/tool.ts';

export interface NetNamespace extends AsyncDisposable {
  /** Of the process that holds it. */
  readonly pid: number;
  /** As runTool, inside the namespace. */
  run(file: string, args: readonly string[], options: ToolOptions): Promise<ToolOutput>;
  /** What `ip` prints; the arguments are divided at blanks. */
  ip(args: string): Promise<string>;
}

const TIMEOUT_MS = 20_000;

export async function openNetNamespace(): Promise<NetNamespace> {
  // It says when it is inside, and ends when its input does: with the test run at the latest.
  const holder = spawn('unshare', ['--net', 'sh', '-c', 'echo inside; read end'], { stdio: ['pipe', 'pipe', 'inherit'] });
  await Promise.race([once(holder.stdout, 'data'), failed(holder)]);
  const inside = ['-t', String(holder.pid), '--net', '--'];
  const run: NetNamespace['run'] = (file, args, options) => runTool('nsenter', [...inside, file, ...args], options);
  return {
    pid: holder.pid!,
    run,
    ip: async (args) => (await run('ip', args.split(' '), { timeoutMs: TIMEOUT_MS })).stdout,
    [Symbol.asyncDispose]: async () => {
      const ended = once(holder, 'exit');
      holder.stdin.end();
      await ended;
    },
  };
}

async function failed(holder: ChildProcess): Promise<never> {
  const [status] = await once(holder, 'exit');
  throw new Error(`unshare --net ended with ${status}: these tests need root and Linux's network namespaces`);
}
