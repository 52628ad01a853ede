// What a verb of the CLI is, and its help page.
import type { Arguments, Option, Options } from './arguments.ts';

export interface Verb {
  /** As typed: `run`, `vm start`. */
  name: string;
  /** What comes after the name, e.g. `[OPTIONS] CONTAINER COMMAND [ARG...]`. */
  usage: string;
  /** One line for the list of verbs. */
  summary: string;
  /** More of the help page, under the summary. */
  description?: string;
  options: Options;
  /** A command line of the guest follows the options. */
  commandFollows?: boolean;
  /** Resolves to the exit status of `berth`. */
  run(args: Arguments): Promise<number>;
}

/** Options of every verb that talks to an agent. */
export const TARGET_OPTIONS: Options = {
  vm: { kind: 'text', value: 'NAME', help: "the VM to use (default 'default', or $BERTH_VM)" },
  address: {
    kind: 'text',
    value: 'URI',
    help: 'an agent to talk to: vsock://CID:PORT, hvsock://SOCKET:PORT, unix://PATH or serial://SOCKET (or $BERTH_ADDRESS)',
  },
};

export const HELP_OPTION: Options = { help: { kind: 'flag', short: 'h', help: 'show this help' } };

export function helpPage(verb: Verb): string {
  const options = Object.entries({ ...verb.options, ...HELP_OPTION }).sort(([a], [b]) => (a < b ? -1 : 1));
  const left = options.map(
    ([name, option]) => `  ${option.short === undefined ? '   ' : `-${option.short},`} --${name}${placeholder(option)}`,
  );
  const width = Math.max(...left.map((text) => text.length)) + 3;
  const lines = options.map(([, option], at) => `${left[at]!.padEnd(width)}${option.help}`);
  const description = verb.description === undefined ? '' : `\n${verb.description}\n`;
  return `Usage: berth ${verb.name} ${verb.usage}\n\n${verb.summary}\n${description}\nOptions:\n${lines.join('\n')}\n`;
}

export function verbList(verbs: readonly Verb[]): string {
  const width = Math.max(...verbs.map(({ name }) => name.length)) + 3;
  const lines = verbs.map(({ name, summary }) => `  ${name.padEnd(width)}${summary}`);
  return `Usage: berth VERB [OPTIONS]\n\nRuns and watches containers inside virtual machines.\n\nVerbs:\n${lines.join('\n')}\n\n\`berth VERB --help\` tells more of each.\n`;
}

function placeholder(option: Option): string {
  if (option.kind === 'flag') return '';
  return ` ${option.value ?? 'VALUE'}`;
}
