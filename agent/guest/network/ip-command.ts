// Commands for `ip -batch -`: one process for all of them, and no word of theirs is ever an option.
import { AgentError, isAgentError } from '../../errors.ts';
import type { runTool } from '../../process/tool.ts';

export type RunTool = typeof runTool;

export interface IpCommand {
  readonly words: readonly string[];
  /** What it does, for the error when it fails: `address 10.0.0.1/24 on eth0`. */
  readonly what: string;
}

export interface IpFailure {
  /** Which command failed; those before it have been done, those after it not. */
  readonly index: number;
  readonly complaint: string;
  readonly error: AgentError;
}

const TIMEOUT_MS = 10_000;

export function command(what: string, ...words: (string | number)[]): IpCommand {
  return { what, words: words.map(String) };
}

/** What stopped the batch, or undefined when all of it was done. @throws other failures than a command's: no `ip`, too late */
export async function runCommands(commands: readonly IpCommand[], run: RunTool): Promise<IpFailure | undefined> {
  if (commands.length === 0) return undefined;
  const input = commands.map(({ words }) => `${batchLine(words)}\n`).join('');
  let failed: AgentError;
  try {
    await run('ip', ['-batch', '-'], { timeoutMs: TIMEOUT_MS, input });
    return undefined;
  } catch (error) {
    if (!isAgentError(error) || error.code !== 'internal') throw error;
    failed = error;
  }
  const { complaint, line } = readComplaint(failed);
  if (line === undefined && commands.length > 1) return await findFailing(commands, run);
  const index = line === undefined ? 0 : Math.min(line, commands.length) - 1;
  const error = new AgentError('internal', `${commands[index]!.what}: ${complaint}`, { cause: failed });
  return { index, complaint, error };
}

/** `ip neigh` ends the batch without telling its line. All commands of a batch may be done twice. */
async function findFailing(commands: readonly IpCommand[], run: RunTool): Promise<IpFailure | undefined> {
  for (const [index, single] of commands.entries()) {
    const failure = await runCommands([single], run);
    if (failure !== undefined) return { ...failure, index };
  }
  return undefined;
}

/** The last line of defence behind the checks of every field: a word that would read as something else is never sent. */
export function batchLine(words: readonly string[]): string {
  const bad = words.find((word) => word === '' || /[\s\x00-\x1f#"'\\]/.test(word));
  if (bad !== undefined) throw new AgentError('invalid_argument', `${JSON.stringify(bad)} can't be said to \`ip\``);
  return words.join(' ');
}

/** The kernel's own reason where it gives one, and the line of the batch, from 1. */
function readComplaint(error: AgentError): { complaint: string; line: number | undefined } {
  const { stderr } = (error.cause ?? {}) as { stderr?: unknown };
  const told = typeof stderr === 'string' ? stderr : '';
  const line = /^Command failed -:(\d+)$/m.exec(told)?.[1];
  const complaint = told
    .replace(/^Command failed .*$/m, '')
    .replace(/^(Error|RTNETLINK answers): /m, '')
    .trim();
  return { complaint: complaint || error.message, line: line === undefined ? undefined : Number(line) };
}
