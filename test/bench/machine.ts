// What the figures were measured on.
import { execFile } from 'node:child_process';
import os from 'node:os';
import { promisify } from 'node:util';

export interface Machine {
  cpu: string;
  cores: number;
  memoryMiB: number;
  kernel: string;
  node: string;
  commit: string;
  /** How the guest was run: way and accelerator. */
  way?: string;
}

export async function describeMachine(): Promise<Machine> {
  const cpus = os.cpus();
  return {
    cpu: cpus[0]?.model.trim() ?? 'unknown',
    cores: cpus.length,
    memoryMiB: Math.round(os.totalmem() / 2 ** 20),
    kernel: os.release(),
    node: process.version,
    commit: await commit(),
  };
}

async function commit(): Promise<string> {
  const git = async (...args: string[]) => (await promisify(execFile)('git', ['-C', import.meta.dirname, ...args])).stdout.trim();
  try {
    return (await git('rev-parse', '--short=12', 'HEAD')) + ((await git('status', '--porcelain')) === '' ? '' : '-dirty');
  } catch {
    return 'unknown';
  }
}

export function caption(machine: Machine): string {
  const { cpu, cores, kernel, node, way, commit: at } = machine;
  return `${cpu}, ${cores} cores, Linux ${kernel}, Node ${node}${way === undefined ? '' : `, guest by ${way}`}, commit ${at}`;
}
