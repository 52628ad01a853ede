// The agent itself, from its sources, under berth-init on this machine: what it serves needs no guest, but for containers. Processes of the
// guest are then processes of this machine.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { buildInit } from '../../scripts/build-init.ts';

const MAIN = join(import.meta.dirname, '../../agent/main.ts');

export interface NativeTestAgent extends AsyncDisposable {
  /** For the client's connect. */
  readonly address: string;
  readonly pid: number;
}

/** @param env more of the agent's environment, or other than is given here */
export async function startNativeAgent(env: NodeJS.ProcessEnv = {}): Promise<NativeTestAgent> {
  const folder = await mkdtemp(join(tmpdir(), 'berth-agent-'));
  const address = `unix://${join(folder, 'agent.sock')}`;
  const child = spawn(await buildInit(), ['--no-restart', '--', process.execPath, MAIN], {
    env: {
      PATH: process.env['PATH'],
      UV_THREADPOOL_SIZE: '16',
      KATA_AGENT_SERVER_ADDR: address,
      BERTH_STATE_DIR: join(folder, 'state'),
      BERTH_BUNDLE_DIR: join(folder, 'bundles'),
      ...env,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout });
  await new Promise<void>((resolve, reject) => {
    lines.on('line', (line) => {
      if (process.env['BERTH_TEST_AGENT_LOG']) console.error(line);
    });
    lines.on('line', (line) => line.includes('"agent listening"') && resolve());
    child.once('exit', (code, signal) => reject(new Error(`the agent ended: ${signal ?? code}`)));
  });
  return {
    address,
    pid: child.pid!,
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode === null && child.signalCode === null) {
        const ended = once(child, 'exit');
        child.kill('SIGTERM');
        await ended;
      }
      await rm(folder, { recursive: true, force: true });
    },
  };
}
