// The agent itself, from its sources, under berth-init on this machine: what it serves needs no guest, but for containers. Processes of the
// guest are then processes of this machine.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { buildInit } from '../../scripts/build-init.ts';

const MAIN = join(import.meta.dirname, '../../agent/main.ts');

export interface NativeTestAgent extends AsyncDisposable {
  /** For the client's connect. */
  readonly address: string;
  /** Of berth-init. */
  readonly pid: number;
  /** Where the agent and its journal live. */
  readonly stateDir: string;
  /** Of the agent that runs now, with `restart` only. */
  agentPid(): Promise<number>;
  /** Resolves when an agent listens that did not when this was called. */
  nextListening(): Promise<void>;
}

export interface NativeAgentOptions {
  /** berth-init starts the agent again when it dies. */
  readonly restart?: boolean;
}

/** @param env more of the agent's environment, or other than is given here */
export async function startNativeAgent(
  env: NodeJS.ProcessEnv = {},
  { restart = false }: NativeAgentOptions = {},
): Promise<NativeTestAgent> {
  const folder = await mkdtemp(join(tmpdir(), 'berth-agent-'));
  const address = `unix://${join(folder, 'agent.sock')}`;
  const pidFile = join(folder, 'agent.pid');
  const stateDir = join(folder, 'state');
  // A test that kills agents one after the other is no agent that dies at its start.
  const supervised = ['--pid-file', pidFile, '--restart-limit', '1000', '--max-delay', '1', '--'];
  const options = restart ? supervised : ['--no-restart', '--'];
  const child = spawn(await buildInit(), [...options, process.execPath, MAIN], {
    env: {
      PATH: process.env['PATH'],
      UV_THREADPOOL_SIZE: '16',
      KATA_AGENT_SERVER_ADDR: address,
      BERTH_STATE_DIR: stateDir,
      BERTH_BUNDLE_DIR: join(folder, 'bundles'),
      ...env,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout });
  const listening = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const onExit = (code: number | null, signal: string | null) => reject(new Error(`the agent ended: ${signal ?? code}`));
      child.once('exit', onExit);
      const onLine = (line: string) => {
        if (!line.includes('"agent listening"')) return;
        lines.off('line', onLine);
        child.off('exit', onExit);
        resolve();
      };
      lines.on('line', onLine);
    });
  lines.on('line', (line) => {
    if (process.env['BERTH_TEST_AGENT_LOG']) console.error(line);
  });
  await listening();
  return {
    address,
    pid: child.pid!,
    stateDir,
    agentPid: async () => Number(await readFile(pidFile, 'utf8')),
    nextListening: listening,
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
