// A host's shim as a program of its own that can be killed: it holds the sandbox's lease, and makes one container with something to read.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from '../../client/api/guest.ts';
import type { Rootfs } from '../../client/rootfs.ts';

export interface ShimWish {
  readonly address: string;
  readonly ttlMs: number;
  readonly containerId: string;
  readonly rootfs: Rootfs;
}

/** Of the process that the shim has started in the container. */
export const JOB = 'job';
/** Renewals in the time of a lease. */
const RENEWALS = 4;

/** Resolves when all is made. Kills the program with SIGKILL. */
export async function startShim(wish: ShimWish): Promise<() => Promise<void>> {
  const child = spawn(process.execPath, [import.meta.filename, JSON.stringify(wish)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  const [first] = await Promise.race([once(child.stdout, 'data'), ended]);
  if (!Buffer.isBuffer(first)) throw new Error(`the shim ended: ${first}`);
  return async () => {
    child.kill('SIGKILL');
    await ended;
  };
}

async function runShim({ address, ttlMs, containerId, rootfs }: ShimWish): Promise<void> {
  const guest = await connect(address, { name: 'shim' });
  await guest.lease(ttlMs);
  setInterval(() => void guest.lease(ttlMs), ttlMs / RENEWALS);
  const container = await guest.create({ id: containerId, rootfs, args: ['sleep', 'inf'] });
  await container.start();
  await container.run(['sh', '-c', 'n=0; while :; do n=$((n+1)); echo $n; sleep 0.1; done'], { id: JOB, lifetime: 'keep' });
  process.stdout.write('ready\n');
}

if (process.argv[1] === import.meta.filename) await runShim(JSON.parse(process.argv[2]!));
