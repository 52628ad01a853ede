// Takes over the streams of a process that an earlier agent started: every offset, acknowledgement and end is as that agent left it, whichever
// instruction was its last.
import { native } from '../../native/index.ts';
import { AgentError } from '../errors.ts';
import { pipeStdio, type Stdio, terminalStdio } from './stdio.ts';
import { type KeptStdio, STDIO_VERSION, type StdioDescription } from './stdio-files.ts';
import { keyOfPart, type StdioKeeping } from './stdio-store.ts';
import type { Budget } from './stream/budget.ts';
import { Ledger } from './stream/ledger.ts';

export interface AdoptOptions {
  /** Of all logs together. */
  readonly budget: Budget;
}

/** What came under the key `whole`. */
const PIPE_FDS = 6;
const TERMINAL_FDS = 6;

/**
 * The result is as the `attach` of `prepareStdio` gives it, and as there it is to be told when the process has exited.
 * @throws not_found when nothing is kept under the key; failed_precondition when an agent of another version kept it; nothing is taken then
 */
export async function adoptStdio(keeping: StdioKeeping, { budget }: AdoptOptions): Promise<Stdio> {
  const { store, key } = keeping;
  const [fds, [stdin]] = await Promise.all([store.get(keyOfPart(key, 'whole')), store.get(keyOfPart(key, 'stdin'))]);
  try {
    if (fds.length === 0)
      throw new AgentError('not_found', 'no streams are kept under this key', { fields: { key: key.toString('hex') } });
    const ledger = new Ledger(fds[0]);
    const { terminal, output } = understood(ledger.description());
    if (fds.length !== (terminal ? TERMINAL_FDS : PIPE_FDS))
      throw new AgentError('internal', `${fds.length} fds are kept of streams`);
    return terminal
      ? adoptTerminal(keeping, ledger, fds, { budget, output })
      : adoptPipes(keeping, ledger, fds, stdin, { budget, output });
  } catch (error) {
    for (const fd of stdin === undefined ? fds : [...fds, stdin]) native().close(fd);
    throw error;
  }
}

type Options = Pick<StdioDescription, 'output'> & AdoptOptions;

function adoptPipes(
  keeping: StdioKeeping,
  ledger: Ledger,
  fds: readonly number[],
  stdinEnd: number | undefined,
  options: Options,
): Stdio {
  const [, stdout, stderr, stdin, outEnd, errEnd] = fds as [number, number, number, number, number, number];
  const kept: KeptStdio = { keeping, ledger, stdin, stdout, stderr, relay: undefined, adopted: true };
  return pipeStdio(options, { stdin: stdinEnd, stdout: outEnd, stderr: errEnd }, kept);
}

function adoptTerminal(keeping: StdioKeeping, ledger: Ledger, fds: readonly number[], options: Options): Stdio {
  const [, stdout, stdin, master, out, into] = fds as [number, number, number, number, number, number];
  const kept: KeptStdio = { keeping, ledger, stdin, stdout, stderr: undefined, relay: [out, into], adopted: true };
  return terminalStdio(options, master, kept);
}

function understood(description: unknown): StdioDescription {
  const { version } = description as { version?: unknown };
  if (version === STDIO_VERSION) return description as StdioDescription;
  throw new AgentError('failed_precondition', `streams are kept in version ${version}, this agent knows ${STDIO_VERSION}`);
}
