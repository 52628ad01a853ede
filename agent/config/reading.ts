// Gathers the values that one source gives: applies kinds and guards, and makes the error for a value that can't be read.
import { AgentError } from '../errors.ts';
import type { ConfigNote, ConfigSource, Setting } from './setting.ts';
import type { Config, ConfigName, ParsedSource } from './settings.ts';

/** Longest part of an offending value that an error repeats. */
const SHOWN_CHARS = 128;

/** The values of one source so far; a later value of the same setting replaces an earlier one. */
export interface Reading extends ParsedSource {
  /** Keeps `value`, unless the guard refuses it. @throws invalid_argument when `value` is undefined: `raw` could not be read. */
  keep(name: ConfigName, setting: Setting<unknown>, key: string, raw: unknown, value: unknown): void;
  note(key: string, text: string): void;
}

export function startReading(source: ConfigSource): Reading {
  const values: Record<string, unknown> = {};
  const notes: ConfigNote[] = [];
  const note = (key: string, text: string) => {
    notes.push({ source, key: shorten(key), text });
  };
  return {
    values: values as Partial<Config>,
    notes,
    note,
    keep(name, setting, key, raw, value) {
      if (value === undefined || value === null) throw invalidSetting(source, key, raw, setting.kind.rule);
      if (setting.guard && !setting.guard.holds(value)) note(key, `${shown(raw)} is not ${setting.guard.rule}; not kept`);
      else values[name] = value;
    },
  };
}

/** @returns invalid_argument naming the source, the key, the value and the rule */
export function invalidSetting(source: ConfigSource, key: string, raw: unknown, rule: string): AgentError {
  const value = shown(raw);
  return new AgentError('invalid_argument', `${source}: ${key} is ${value}: it must be ${rule}`, {
    fields: { source, key, value, rule },
  });
}

function shown(raw: unknown): string {
  if (typeof raw === 'string') return JSON.stringify(shorten(raw));
  if (typeof raw === 'object' && raw !== null) return Array.isArray(raw) ? 'an array' : 'a table';
  return shorten(String(raw));
}

function shorten(text: string): string {
  return text.length <= SHOWN_CHARS ? text : `${text.slice(0, SHOWN_CHARS)}...`;
}
