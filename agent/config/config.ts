// Puts the sources together into the one frozen configuration.
import { type Config, type ConfigName, settings } from './settings.ts';

export type { Config } from './settings.ts';

export const defaultConfig: Config = Object.freeze(
  Object.fromEntries(settings.map(([name, setting]) => [name, setting.fallback])),
) as Config;

/** Later layers win over earlier ones, all of them over the defaults. */
export function mergeConfig(...layers: ReadonlyArray<Partial<Config>>): Config {
  return Object.freeze(Object.assign({}, defaultConfig, ...layers));
}

/** The settings that differ from their default, fit for a log line: numbers as they are, no password of a proxy. */
export function describeConfig(config: Config): Record<string, unknown> {
  const shown: Record<string, unknown> = {};
  for (const [name, setting] of settings) {
    if (config[name] !== setting.fallback) shown[name] = withoutSecret(name, config[name]);
  }
  return shown;
}

/** The settings that were changed and do nothing, with the reason. */
export function changedInVain(config: Config): { name: ConfigName; reason: string }[] {
  return settings.flatMap(([name, { fallback, unused }]) =>
    unused === undefined || config[name] === fallback ? [] : [{ name, reason: unused }],
  );
}

function withoutSecret(name: ConfigName, value: unknown): unknown {
  if (name !== 'httpsProxy' || typeof value !== 'string') return value;
  const proxy = URL.parse(value);
  if (!proxy || (!proxy.username && !proxy.password)) return value;
  proxy.username = 'hidden';
  proxy.password = '';
  return proxy.href;
}
