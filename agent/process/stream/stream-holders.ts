// Who has the writing end of a process's output open, by /proc/<pid>/fd (man 5 proc): what a background child left behind holds.
import { close as closeFd, fstat } from 'node:fs';
import { lstat, readdir, readlink, stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import { native } from '../../../native/index.ts';

/** Told at most. */
const MAX_HOLDERS = 64;
/** Looked at, of one process; one that has more is a server, whose output went elsewhere long ago. */
const MAX_FDS = 1024;
/** Owner's write bit: how /proc shows an fd that is open for writing. */
const WRITABLE = 0o200;

const fstatOf = promisify(fstat);
const close = promisify(closeFd);

/** Pids with the writing end of the pipe open whose reading end is `fd`. This process's own fds do not count. */
export async function pipeHolders(fd: number): Promise<number[]> {
  const { ino } = await fstatOf(fd);
  const link = `pipe:[${ino}]`;
  return holders(async (path) => (await readlink(path)) === link && ((await lstat(path)).mode & WRITABLE) !== 0);
}

/** Pids with the terminal of this master open. */
export async function terminalHolders(master: number): Promise<number[]> {
  const peer = native().openTerminalPeer(master);
  try {
    const { dev, ino } = await fstatOf(peer);
    return await holders(async (path) => {
      if (!(await readlink(path)).startsWith('/')) return false;
      const found = await stat(path);
      return found.dev === dev && found.ino === ino;
    });
  } finally {
    await close(peer);
  }
}

async function holders(holds: (path: string) => Promise<boolean>): Promise<number[]> {
  const found: number[] = [];
  for (const name of await readdir('/proc')) {
    if (found.length >= MAX_HOLDERS) break;
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    if (await holdsAny(`/proc/${pid}/fd`, holds)) found.push(pid);
  }
  return found;
}

async function holdsAny(directory: string, holds: (path: string) => Promise<boolean>): Promise<boolean> {
  // Processes and fds go while we look: what cannot be looked at any more does not hold.
  const fds = await readdir(directory).catch(() => []);
  for (const fd of fds.slice(0, MAX_FDS)) {
    if (await holds(`${directory}/${fd}`).catch(() => false)) return true;
  }
  return false;
}
