// Waiting for a device that the host has plugged in. sysfs says what is there; the kernel's messages only say when to look
// again, so it does not matter whether the device comes before the call, during it or while messages are lost.
import { AgentError } from '../../errors.ts';
import type { Uevents } from '../uevents/uevents.ts';

/** What a look for a device needs. */
export interface DeviceHost {
  readonly uevents: Uevents;
  /** How long a device may take to appear. */
  readonly hotplugTimeoutMs: number;
  /** Mount of sysfs. */
  readonly sysDir: string;
  /** Mount of devtmpfs. */
  readonly devDir: string;
}

export interface WantedDevice<T> {
  /** For the error: `block device at PCI path 02/03`. */
  readonly what: string;
  /** The kernel's subsystems whose messages are a reason to look again. */
  readonly subsystems: readonly string[];
  look(): Promise<T | undefined>;
  /** Called once when a quarter of the time is over and nothing has come. */
  onDelay?(): Promise<void>;
}

/**
 * What `look` finds, as soon as there is something.
 * @throws deadline_exceeded naming the device; what `look` throws
 */
export async function waitForDevice<T>(
  { what, subsystems, look, onDelay }: WantedDevice<T>,
  { uevents, hotplugTimeoutMs }: Pick<DeviceHost, 'uevents' | 'hotplugTimeoutMs'>,
): Promise<T> {
  const alarm = new Alarm();
  const stopListening = uevents.listen((event) => {
    if (event === undefined || subsystems.includes(event.subsystem)) alarm.ring();
  });
  try {
    const start = performance.now();
    let delayMs = onDelay === undefined ? Number.POSITIVE_INFINITY : hotplugTimeoutMs / 4;
    for (;;) {
      const found = await look();
      if (found !== undefined) return found;
      const waitedMs = performance.now() - start;
      if (waitedMs >= hotplugTimeoutMs) {
        throw new AgentError('deadline_exceeded', `Timeout after ${hotplugTimeoutMs / 1000}s waiting for ${what}`, {
          fields: { device: what },
        });
      }
      if (waitedMs >= delayMs) {
        delayMs = Number.POSITIVE_INFINITY;
        await onDelay?.();
        continue;
      }
      await alarm.within(Math.min(hotplugTimeoutMs, delayMs) - waitedMs);
    }
  } finally {
    stopListening();
  }
}

/** Remembers that it rang while nobody waited. */
class Alarm {
  #rang = false;
  #wake: (() => void) | undefined;

  ring(): void {
    this.#rang = true;
    this.#wake?.();
  }

  /** Resolves at the next ring, or after the time. A timer may be early by a fraction of a millisecond. */
  async within(ms: number): Promise<void> {
    if (!this.#rang) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      const timer = setTimeout(resolve, Math.max(1, Math.ceil(ms)));
      await promise;
      clearTimeout(timer);
      this.#wake = undefined;
    }
    this.#rang = false;
  }
}
