// Every setting by the name it has in the code. The type `Config`, the parsers and docs/configuration.md all come from this table.
import { berthSettings } from './berth-settings.ts';
import { kataSettings } from './kata-settings.ts';
import { memAgentSettings } from './mem-agent-settings.ts';
import type { ConfigNote, Setting } from './setting.ts';

const table = { ...kataSettings, ...memAgentSettings, ...berthSettings };
type Table = typeof table;

/** The whole configuration; frozen, handed down from main. Times are in milliseconds, 64-bit numbers are bigint. */
export type Config = { readonly [K in keyof Table]: Table[K] extends Setting<infer T> ? T : never };
export type ConfigName = keyof Config;

/** What one source says. */
export interface ParsedSource {
  readonly values: Partial<Config>;
  readonly notes: readonly ConfigNote[];
}

/** All settings in the order of the documentation. */
export const settings = Object.entries(table) as unknown as ReadonlyArray<readonly [ConfigName, Setting<unknown>]>;
