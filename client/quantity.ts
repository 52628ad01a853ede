// Amounts as users type and read them: `512m`, `1.5` CPUs, `12.3MiB`.
import { AgentError } from '../agent/errors.ts';

const UNITS: Readonly<Record<string, bigint>> = { '': 1n, b: 1n, k: 1n << 10n, m: 1n << 20n, g: 1n << 30n, t: 1n << 40n };

/** An int64 on the wire. */
const MAX_BYTES = (1n << 63n) - 1n;

/**
 * Bytes from `64m`, `1.5g`, `1GiB`, `1048576`; the units are powers of 1024, as docker reads them.
 * @throws AgentError invalid_argument
 */
export function parseBytes(text: string, field: string): bigint {
  const match = /^(\d{1,15})(?:\.(\d{1,6}))?\s*([bkmgt]?)(?:i?b)?$/i.exec(text.trim());
  const unit = match === null ? undefined : UNITS[match[3]!.toLowerCase()];
  if (match === null || unit === undefined) {
    throw new AgentError('invalid_argument', `invalid ${field} '${text}': give bytes, or a number with b, k, m or g, e.g. 512m`, {
      fields: { field },
    });
  }
  const fraction = match[2] ?? '';
  const bytes = BigInt(match[1]!) * unit + (fraction === '' ? 0n : (BigInt(fraction) * unit) / 10n ** BigInt(fraction.length));
  if (bytes > MAX_BYTES) throw new AgentError('invalid_argument', `invalid ${field} '${text}': too large`, { fields: { field } });
  return bytes;
}

/** CFS period in microseconds, the kernel's default; docker uses it for --cpus too. */
export const CPU_PERIOD_US = 100_000;

/**
 * The CFS quota in microseconds for a number of CPUs such as `1.5`.
 * @throws AgentError invalid_argument
 */
export function parseCpuQuota(text: string): number {
  const cpus = /^\d{1,4}(\.\d{1,6})?$/.test(text) ? Number(text) : Number.NaN;
  const quota = Math.round(cpus * CPU_PERIOD_US);
  // cpu.max takes no quota below 1 ms (kernel: min_cfs_quota_period).
  if (!(quota >= 1000)) {
    throw new AgentError('invalid_argument', `invalid cpus '${text}': give a number from 0.01, e.g. 1.5`, {
      fields: { field: 'cpus' },
    });
  }
  return quota;
}

/** `12.5MiB`: four significant digits at most, powers of 1024. */
export function formatBytes(bytes: bigint | number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];
  let value = Number(bytes);
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)}${units[unit]}`;
}

/** `3 seconds`, `5 minutes`, `2 days`: one unit, as `docker ps` shows an age. */
export function formatAge(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const steps: readonly (readonly [number, string])[] = [
    [86_400, 'day'],
    [3600, 'hour'],
    [60, 'minute'],
    [1, 'second'],
  ];
  for (const [length, name] of steps) {
    const count = Math.floor(seconds / length);
    if (count > 0) return `${count} ${name}${count === 1 ? '' : 's'}`;
  }
  return 'less than a second';
}
