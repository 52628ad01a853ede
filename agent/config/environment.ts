// Reads the environment: the settings it may override, and what PID 1 tells the agent it starts. Pure.
import { invalidSetting, startReading } from './reading.ts';
import { type ParsedSource, settings } from './settings.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Variables that are set to nothing count as not set. @throws invalid_argument naming variable, value and rule */
export function parseEnv(env: Environment): ParsedSource {
  const reading = startReading('environment');
  for (const [name, setting] of settings) {
    const value = setting.env === undefined ? undefined : env[setting.env];
    if (setting.env === undefined || value === undefined || value === '') continue;
    reading.keep(name, setting, setting.env, value, setting.kind.fromText(value));
  }
  return { values: reading.values, notes: reading.notes };
}

/** How the agent was started; facts, not settings, so no config file replaces them. */
export interface LaunchFacts {
  /** The socket to PID 1; absent when nobody supervises the agent. */
  readonly keeperFd?: number;
  /** CLOCK_BOOTTIME in milliseconds when PID 1 started. */
  readonly initUptimeMs?: number;
}

/** @throws invalid_argument naming variable, value and rule */
export function parseLaunchFacts(env: Environment): LaunchFacts {
  return {
    keeperFd: wholeNumber(env, 'BERTH_KEEPER_FD', 3, 1_048_576),
    initUptimeMs: wholeNumber(env, 'BERTH_INIT_UPTIME_MS', 0, Number.MAX_SAFE_INTEGER),
  };
}

function wholeNumber(env: Environment, key: string, low: number, high: number): number | undefined {
  const text = env[key];
  if (text === undefined || text === '') return undefined;
  const value = /^[0-9]{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= low && value <= high)) {
    throw invalidSetting('environment', key, text, `an integer from ${low} to ${high}`);
  }
  return value;
}
