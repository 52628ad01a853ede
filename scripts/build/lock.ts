// One build at a time in a checkout. flock(1) holds the lock as long as its standard input, a pipe from us, is open,
// so a build that dies in any way gives it up.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { CommandError, say } from '../bootstrap/progress.mjs';

const ANNOUNCE_AFTER_MS = 1_000;

/** Waits until no other process holds `file`, then holds it until the returned function is called. */
export async function lock(file: string): Promise<() => void> {
  await mkdir(path.dirname(file), { recursive: true });
  const holder = spawn('flock', [file, 'sh', '-c', 'echo locked; exec cat'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const waiting = setTimeout(() => say('another build is running here; waiting for it'), ANNOUNCE_AFTER_MS);
  const outcome = await Promise.race([
    once(holder.stdout, 'data').then(() => 'held'),
    once(holder, 'exit').then(([code]) => `flock exited with ${code}`),
    once(holder, 'error').then(([error]) => `flock: ${(error as Error).message}`),
  ]);
  clearTimeout(waiting);
  if (outcome !== 'held') throw new CommandError(`the build can't be locked: ${outcome}`);
  return () => holder.stdin.end();
}
