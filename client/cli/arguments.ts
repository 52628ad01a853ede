// Command lines as docker reads them, on node:util's parseArgs: options end at the first argument where a command follows,
// short flags may be joined (`-it`), and a flag may carry its value (`--rm=false`).
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { AgentError } from '../../agent/errors.ts';

export interface Option {
  /** `flag` is on or off, `text` takes a value, `list` takes one each time it is given. */
  kind: 'flag' | 'text' | 'list';
  short?: string;
  /** What the value is called in the help, e.g. `NAME`. */
  value?: string;
  help: string;
  /** A flag that is on unless `--no-NAME` or `--NAME=false`. */
  on?: boolean;
}

export type Options = Readonly<Record<string, Option>>;

/** A checked command line; asking for an option that the verb does not have is a programming error. */
export class Arguments {
  readonly positionals: readonly string[];
  private readonly values: Readonly<Record<string, unknown>>;

  constructor(values: Readonly<Record<string, unknown>>, positionals: readonly string[]) {
    this.values = values;
    this.positionals = positionals;
  }

  flag(name: string): boolean {
    return this.values[name] === true;
  }

  text(name: string): string | undefined {
    const value = this.values[name];
    return typeof value === 'string' ? value : undefined;
  }

  list(name: string): readonly string[] {
    const value = this.values[name];
    return Array.isArray(value) ? (value as string[]) : [];
  }
}

/**
 * @param commandFollows options end at the first argument that is none, so that those of the command are left alone
 * @throws AgentError invalid_argument with one line for the user
 */
export function parseArguments(argv: readonly string[], options: Options, commandFollows: boolean): Arguments {
  const parser: ParseArgsConfig['options'] = {};
  for (const [name, option] of Object.entries(options)) {
    parser[name] = {
      type: option.kind === 'flag' ? 'boolean' : 'string',
      ...(option.short === undefined ? {} : { short: option.short }),
      ...(option.kind === 'list' ? { multiple: true } : {}),
      ...(option.kind === 'flag' ? { default: option.on ?? false } : {}),
    };
  }
  const args = spellFlags(argv, options);
  const end = commandFollows ? optionsEnd(args, parser) : args.length;
  try {
    const config = { options: parser, strict: true, allowPositionals: true, allowNegative: true };
    const { values, positionals } = parseArgs({ ...config, args: args.slice(0, end) });
    // argv again for what follows: a command's own `--flag=true` must arrive as it was typed.
    const rest = argv.slice(argv.length - (args.length - end));
    return new Arguments(values, [...positionals, ...(rest[0] === '--' ? rest.slice(1) : rest)]);
  } catch (error) {
    // Without its cause, whose text goes on about positionals.
    throw new AgentError('invalid_argument', plainText(error));
  }
}

/** `--rm=true` becomes `--rm` and `--rm=false` `--no-rm`: parseArgs gives flags no values. The count of arguments stays. */
function spellFlags(argv: readonly string[], options: Options): string[] {
  return argv.map((arg) => {
    const match = /^--([a-z-]+)=(true|false|1|0)$/.exec(arg);
    if (match === null || options[match[1]!]?.kind !== 'flag') return arg;
    return match[2] === 'true' || match[2] === '1' ? `--${match[1]}` : `--no-${match[1]}`;
  });
}

/** Index of the first argument that is no option and no option's value, or of `--`. */
function optionsEnd(args: readonly string[], options: NonNullable<ParseArgsConfig['options']>): number {
  const { tokens } = parseArgs({
    args: [...args],
    options,
    strict: false,
    allowPositionals: true,
    allowNegative: true,
    tokens: true,
  });
  return tokens.find(({ kind }) => kind !== 'option')?.index ?? args.length;
}

function plainText(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  // parseArgs goes on to explain how to pass a positional that starts with a dash.
  const first = text.split(/\.\s/)[0] ?? text;
  return first.charAt(0).toLowerCase() + first.slice(1).replace(/\.$/, '');
}
