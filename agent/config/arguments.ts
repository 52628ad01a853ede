// The agent's own command line, and the line that --version prints.
import { AgentError } from '../errors.ts';

/** What the agent was asked to do. `warm-up` loads everything once and ends, so that the image build can fill the compile cache. */
export interface Invocation {
  readonly action: 'run' | 'version' | 'help' | 'warm-up';
  readonly configFile?: string;
}

export const USAGE = `usage: kata-agent [-c FILE]

  -c, --config FILE  read settings from a TOML file instead of the kernel command line
  -v, --version      print the version and end
  -h, --help         print this and end
      --warm-up      load every module once and end (used when the guest image is built)
`;

/** Reads argv without the program's name. @throws invalid_argument naming the argument */
export function parseArguments(argv: readonly string[]): Invocation {
  let action: Invocation['action'] = 'run';
  let configFile: string | undefined;
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at] ?? '';
    const [, option = word, inline] = /^(--[^=]+)=(.*)$/s.exec(word) ?? [];
    if (option === '-c' || option === '--config') {
      configFile = inline ?? argv[++at];
      if (!configFile) throw badArgument(option, 'needs the path of a file');
    } else if (inline === undefined && Object.hasOwn(ACTIONS, word)) {
      action = ACTIONS[word] ?? action;
    } else {
      throw badArgument(word, 'is not an option of the agent');
    }
  }
  return { action, configFile };
}

const ACTIONS: Readonly<Record<string, Invocation['action']>> = {
  '-v': 'version',
  '--version': 'version',
  '-h': 'help',
  '--help': 'help',
  '--warm-up': 'warm-up',
};

function badArgument(argument: string, problem: string): AgentError {
  const shown = argument.length <= 128 ? argument : `${argument.slice(0, 128)}...`;
  return new AgentError('invalid_argument', `argument ${JSON.stringify(shown)} ${problem}`, { fields: { argument: shown } });
}

/**
 * The line Kata's agent prints for --version; its tools read it, so even the implementation type stays as they know it.
 * @param features the agent's optional parts, e.g. `seccomp`
 */
export function versionLine(version: string, commit: string, features: readonly string[]): string {
  const extra = features.map((feature) => JSON.stringify(feature)).join(', ');
  return `kata-agent version ${version} (api version: 0.0.1, commit version: ${commit}, type: rust, extra-features: [${extra}])`;
}
