// The options that `run` and `exec` share, and what they make of a process.
import { readFile } from 'node:fs/promises';
import { isatty } from 'node:tty';
import { AgentError } from '../../agent/errors.ts';
import type { OutputOptions } from '../api/start.ts';
import type { ProcessOptions } from '../default-spec.ts';
import { type AccountFiles, resolveUser } from '../user.ts';
import type { Arguments, Options } from './arguments.ts';
import { DEFAULT_DETACH_KEYS, parseDetachKeys } from './detach-keys.ts';
import { environmentEntries, readEnvironmentFile } from './environment.ts';
import type { SessionOptions } from './session.ts';
import { terminalSize } from './terminal.ts';

/** What is kept of each output of a process that is left running: the newest bytes, so that it never waits for a reader. */
const DETACHED_BYTES = 512 * 1024;
const DETACHED: OutputOptions = { delivery: 'latest', limitBytes: DETACHED_BYTES, historyBytes: DETACHED_BYTES };
export const DETACHED_OUTPUT = { stdout: DETACHED, stderr: DETACHED } as const;

/** Of every verb that ties a process to this terminal. */
export const SESSION_OPTIONS: Options = {
  'sig-proxy': { kind: 'flag', on: true, help: 'pass signals on to the process, without -t (default true)' },
  'detach-keys': {
    kind: 'text',
    value: 'KEYS',
    help: `keys that leave a terminal and let the process go on (default ${DEFAULT_DETACH_KEYS}; '' for none)`,
  },
};

export const PROCESS_OPTIONS: Options = {
  ...SESSION_OPTIONS,
  interactive: { kind: 'flag', short: 'i', help: 'pass stdin on' },
  tty: { kind: 'flag', short: 't', help: 'give the process a terminal' },
  detach: { kind: 'flag', short: 'd', help: 'leave the process running and return' },
  env: { kind: 'list', short: 'e', value: 'KEY[=VALUE]', help: 'set an environment variable, or pass ours on' },
  'env-file': { kind: 'list', value: 'FILE', help: 'read environment variables from a file' },
  workdir: { kind: 'text', short: 'w', value: 'DIR', help: 'directory the process starts in' },
  user: {
    kind: 'text',
    short: 'u',
    value: 'USER[:GROUP]',
    help: 'who it runs as: numbers, or names where they can be looked up',
  },
};

/** What a session with the process is to be like. @throws AgentError invalid_argument */
export function sessionOptions(args: Arguments): SessionOptions {
  const detachKeys = parseDetachKeys(args.text('detach-keys') ?? DEFAULT_DETACH_KEYS);
  return { interactive: args.flag('interactive'), sigProxy: args.flag('sig-proxy'), detachKeys };
}

/** Everything but the user, who may have to be looked up in the root. */
export async function processOptions(args: Arguments): Promise<Omit<ProcessOptions, 'args'>> {
  const tty = args.flag('tty');
  if (tty && args.flag('interactive') && !args.flag('detach') && !isatty(0)) {
    throw new AgentError('failed_precondition', 'stdin is not a terminal: leave -t out, or run berth in a terminal');
  }
  const fromFiles = await Promise.all(args.list('env-file').map((file) => readEnvironmentFile(file, process.env)));
  const workdir = args.text('workdir');
  if (workdir !== undefined && !workdir.startsWith('/')) {
    throw new AgentError('invalid_argument', `invalid --workdir '${workdir}': give an absolute path`, {
      fields: { field: 'workdir' },
    });
  }
  const size = tty ? (terminalSize(0) ?? terminalSize(1)) : undefined;
  return {
    tty,
    env: [...fromFiles.flat(), ...environmentEntries(args.list('env'), process.env)],
    ...(workdir === undefined ? {} : { cwd: workdir }),
    ...(size === undefined ? {} : { size }),
  };
}

/** @param accounts files of the root where the host can read them */
export function userOption(args: Arguments, accounts: AccountFiles = {}): Pick<ProcessOptions, 'user'> {
  const user = args.text('user');
  return user === undefined ? {} : { user: resolveUser(user, accounts) };
}

/** The account files of a root that is a directory of this machine. */
export async function readAccounts(root: string): Promise<AccountFiles> {
  const read = (name: string) => readFile(`${root}/etc/${name}`, 'utf8').catch(() => '');
  return { passwd: await read('passwd'), group: await read('group') };
}
