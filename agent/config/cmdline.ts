// Reads the kernel command line. Pure; parameters that are not ours are left alone.
import { invalidSetting, startReading } from './reading.ts';
import type { Setting } from './setting.ts';
import { type ConfigName, type ParsedSource, settings } from './settings.ts';

export const CONFIG_FILE_PARAM = 'agent.config_file';

export interface ParsedCmdline extends ParsedSource {
  /** Path of the TOML file that replaces every other source. */
  readonly configFile?: string;
}

export interface Parameter {
  readonly name: string;
  /** Absent for a bare word. */
  readonly value?: string;
}

/** @throws invalid_argument naming parameter, value and rule */
export function parseCmdline(text: string): ParsedCmdline {
  const parameters = splitCmdline(text);
  const reading = startReading('command line');

  const file = parameters.find(({ name, value }) => name === CONFIG_FILE_PARAM && value !== undefined);
  if (file) {
    if (!file.value) throw invalidSetting('command line', file.name, file.value, 'the path of a file');
    return { values: {}, notes: [], configFile: file.value };
  }

  for (const { name, value } of parameters) {
    const found = BY_PARAM.get(name);
    if (!found) {
      if (/^(agent|berth)\./.test(name)) reading.note(name, 'unknown parameter; ignored');
      continue;
    }
    const [key, setting] = found;
    if (value === undefined) {
      if (setting.bareWord) reading.keep(key, setting, name, '', true);
      else reading.note(name, 'has no value; ignored');
    } else if (setting.bareWord === 'only') {
      reading.note(name, 'takes no value; ignored');
    } else if (setting.needsMemAgent && !reading.values.memAgentEnable) {
      reading.note(name, 'comes before agent.mem_agent_enable; ignored');
    } else {
      reading.keep(key, setting, name, value, setting.kind.fromText(value));
    }
  }
  return { values: reading.values, notes: reading.notes };
}

const BY_PARAM = new Map<string, readonly [ConfigName, Setting<unknown>]>();
for (const row of settings) if (row[1].param) BY_PARAM.set(row[1].param, row);

/**
 * Splits as the kernel does (lib/cmdline.c, next_arg): white space separates, double quotes hold it together, and a
 * pair of quotes around the whole parameter or around its value is taken off.
 */
export function splitCmdline(text: string): Parameter[] {
  const parameters: Parameter[] = [];
  for (let at = 0; ; ) {
    while (isSpace(text, at)) at++;
    if (at >= text.length) return parameters;
    const start = at;
    for (let quoted = false; at < text.length && (quoted || !isSpace(text, at)); at++) {
      if (text[at] === '"') quoted = !quoted;
    }
    parameters.push(parameter(text.slice(start, at)));
  }
}

function parameter(word: string): Parameter {
  const whole = word.startsWith('"') ? word.slice(1).replace(/"$/, '') : word;
  const equals = whole.indexOf('=');
  // The kernel takes a word that begins with '=' for a bare one.
  if (equals < 1) return { name: whole };
  const value = whole.slice(equals + 1);
  return { name: whole.slice(0, equals), value: value.startsWith('"') ? value.slice(1).replace(/"$/, '') : value };
}

function isSpace(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code === 0x20 || (code >= 0x09 && code <= 0x0d) || code === 0;
}
