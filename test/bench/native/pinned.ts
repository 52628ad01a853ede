// Programs of this machine, run on one CPU: on two, each message pays for waking the other one up, or does not, by luck.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

export interface Pinned extends AsyncDisposable {
  readonly pid: number;
  /** When it was started, on performance.now()'s clock. */
  readonly startedAt: number;
  /** The next line of stdout for which `wanted` is true; rejected when the program ends first. */
  line(wanted: (line: string) => boolean): Promise<string>;
}

export function startPinned(cpu: number, argv: readonly string[], env: Readonly<Record<string, string>> = {}): Pinned {
  const startedAt = performance.now();
  const child = spawn('taskset', ['-c', String(cpu), ...argv], {
    env: { PATH: process.env['PATH'] ?? '', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout! });
  return {
    pid: child.pid!,
    startedAt,
    line: (wanted) =>
      new Promise((resolve, reject) => {
        lines.on('line', (line) => wanted(line) && resolve(line));
        child.on('error', reject);
        child.on('exit', (code, signal) => reject(new Error(`${argv.join(' ')} ended: ${signal ?? code}`)));
      }),
    [Symbol.asyncDispose]: () => stop(child),
  };
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}
