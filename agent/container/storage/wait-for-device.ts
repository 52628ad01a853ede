// Waiting for a device that the host has plugged in: it shows up in /sys and /dev some time later.
import { setTimeout as sleep } from 'node:timers/promises';
import { AgentError } from '../../errors.ts';

const LOOK_MS = 20;

/**
 * What `look` finds, looking again until there is something.
 * @param onDelay called once when a quarter of the time is over
 * @throws deadline_exceeded
 */
export async function waitForDevice<T>(
  what: string,
  timeoutMs: number,
  look: () => Promise<T | undefined>,
  onDelay?: () => Promise<void>,
): Promise<T> {
  const start = Date.now();
  let delayed = false;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    const waited = Date.now() - start;
    if (waited >= timeoutMs) {
      throw new AgentError('deadline_exceeded', `Timeout after ${timeoutMs / 1000}s waiting for ${what}`, {
        fields: { device: what },
      });
    }
    if (!delayed && waited >= timeoutMs / 4) {
      delayed = true;
      await onDelay?.();
    }
    await sleep(LOOK_MS);
  }
}
