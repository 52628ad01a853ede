// The debug console without a port: a shell on the machine's console, for people at a serial line. It is started again when it ends.
import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../log.ts';
import { startShell } from './shell.ts';

const CONSOLE = '/dev/console';
const RESTART_MS = 1_000;

/** Runs shells one after the other until `stopping` is raised; resolves when the last one is gone. Never rejects. */
export async function runSerialConsole(log: Logger, stopping: AbortSignal): Promise<void> {
  const told = new Promise<void>((resolve) => stopping.addEventListener('abort', () => resolve(), { once: true }));
  for (let run = 1; !stopping.aborted; run++) {
    try {
      const file = await open(CONSOLE, 'r+');
      try {
        const shell = await startShell({ terminalFd: file.fd, name: `berth-serial-console-${run}`, args: ['-i'] });
        log.info('debug console opened', { path: CONSOLE });
        await Promise.race([shell.ended, told]);
        await shell.end();
      } finally {
        await file.close();
      }
    } catch (error) {
      log.error('debug console failed', { path: CONSOLE, error });
    }
    await sleep(RESTART_MS, undefined, { signal: stopping }).catch(() => {});
  }
}
