// Reads the TOML configuration file. Kept apart from the rest so that its parser is loaded only where there is a file.
import { parse } from 'smol-toml';
import { AgentError } from '../errors.ts';
import { startReading } from './reading.ts';
import { type ParsedSource, settings } from './settings.ts';

/** Deepest nesting of arrays and tables; our own keys need one level. */
const MAX_DEPTH = 16;

/** @throws invalid_argument for text that is not TOML, and naming key, value and rule for a bad value */
export function parseToml(text: string): ParsedSource {
  const document = parseDocument(text);
  const reading = startReading('config file');
  const known = new Set<string>();
  for (const [name, setting] of settings) {
    if (setting.toml === undefined) continue;
    known.add(setting.toml);
    if (!Object.hasOwn(document, setting.toml)) continue;
    const value = document[setting.toml];
    reading.keep(name, setting, setting.toml, value, setting.kind.fromToml(value));
  }
  for (const key of Object.keys(document)) if (!known.has(key)) reading.note(key, 'unknown key; ignored');
  return { values: reading.values, notes: reading.notes };
}

function parseDocument(text: string): Record<string, unknown> {
  try {
    return parse(text, { integersAsBigInt: true, unsafeKeyBehaviour: 'drop', maxDepth: MAX_DEPTH });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new AgentError('invalid_argument', `config file: not TOML: ${reason}`, { cause: error });
  }
}
