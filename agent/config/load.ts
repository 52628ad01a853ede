// The edge where configuration is read from the machine. Which source counts (as in Kata):
//   --config FILE                     that file, then the environment over it
//   agent.config_file=FILE (cmdline)  that file and nothing else
//   otherwise                         the kernel command line, then the environment over it
import { AgentError, fromErrno } from '../errors.ts';
import type { Invocation } from './arguments.ts';
import { parseCmdline } from './cmdline.ts';
import { mergeConfig } from './config.ts';
import { type Environment, parseEnv } from './environment.ts';
import type { ConfigNote } from './setting.ts';
import type { Config, ParsedSource } from './settings.ts';

const CMDLINE_FILE = '/proc/cmdline';
/** Longest configuration that is read; the kernel's own command line is far shorter. */
const MAX_CONFIG_CHARS = 1_048_576;

export interface LoadedConfig {
  readonly config: Config;
  /** Unknown names and values that were not kept, for the log. */
  readonly notes: readonly ConfigNote[];
}

export type ReadFile = (path: string) => string | Promise<string>;

/**
 * @throws invalid_argument naming key, value and rule; not_found, permission_denied, ... when a file can't be read.
 * The kernel command line must be readable even where the agent runs outside a VM.
 */
export async function loadConfig(
  invocation: Pick<Invocation, 'configFile'>,
  env: Environment,
  readFile: ReadFile,
): Promise<LoadedConfig> {
  if (invocation.configFile !== undefined) {
    return combine(await readToml(invocation.configFile, readFile), parseEnv(env));
  }
  const cmdline = parseCmdline(await read(CMDLINE_FILE, readFile));
  if (cmdline.configFile !== undefined) return combine(await readToml(cmdline.configFile, readFile));
  return combine(cmdline, parseEnv(env));
}

async function readToml(path: string, readFile: ReadFile): Promise<ParsedSource> {
  const text = await read(path, readFile);
  const { parseToml } = await import('./toml.ts');
  return parseToml(text);
}

async function read(path: string, readFile: ReadFile): Promise<string> {
  let text: string;
  try {
    text = await readFile(path);
  } catch (error) {
    throw fromErrno(error, `read configuration from ${path}`, { path });
  }
  if (text.length <= MAX_CONFIG_CHARS) return text;
  throw new AgentError('invalid_argument', `${path} has ${text.length} characters: at most ${MAX_CONFIG_CHARS} are read`, {
    fields: { path },
  });
}

function combine(...sources: ParsedSource[]): LoadedConfig {
  return {
    config: mergeConfig(...sources.map((source) => source.values)),
    notes: sources.flatMap((source) => source.notes),
  };
}
