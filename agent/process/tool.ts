// Rare helper programs of the guest (modprobe, mkfs, ip) through execa, which is loaded at the first of them.
import { writeFile } from 'node:fs/promises';
import { AgentError } from '../errors.ts';

/** Of each output. */
const MAX_OUTPUT_CHARS = 1024 * 1024;
/** Of a tool's complaint, in an error. */
const MAX_TOLD_CHARS = 2000;
/** SIGKILL follows SIGTERM after this. */
const KILL_DELAY_MS = 1_000;

export interface ToolOptions {
  timeoutMs: number;
  /** For its standard input; without it that is /dev/null. */
  input?: string | Uint8Array;
  /** Its output as it is: latin1, a character a byte, and with the last newline. */
  exact?: boolean;
  /** Of each output; 1 Mi unless told. */
  maxOutputChars?: number;
}

export interface ToolOutput {
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a program from the PATH to its end, without a shell.
 * @throws not_found when there is no such program; deadline_exceeded; resource_exhausted for more output than may be; internal
 * with its complaint when it fails
 */
export async function runTool(file: string, args: readonly string[], options: ToolOptions): Promise<ToolOutput> {
  const { timeoutMs, input, exact = false, maxOutputChars = MAX_OUTPUT_CHARS } = options;
  const { execa } = await import('execa');
  const running = execa(file, args, {
    ...(input === undefined ? { stdin: 'ignore' } : { input }),
    timeout: timeoutMs,
    forceKillAfterDelay: KILL_DELAY_MS,
    ...(exact ? { encoding: 'latin1', stripFinalNewline: false } : {}),
    maxBuffer: maxOutputChars,
    reject: false,
  });
  // It has inherited the agent's, which keeps the agent from being killed for want of memory (native/init/protect.c).
  if (running.pid !== undefined) await writeFile(`/proc/${running.pid}/oom_score_adj`, '0').catch(() => {});
  const result = await running;
  const { stdout = '', stderr = '' } = result as { stdout?: string; stderr?: string };
  if (!result.failed) return { stdout, stderr };
  const command = [file, ...args].join(' ');
  const fields = { tool: file, exitCode: result.exitCode, signal: result.signal };
  if (result.timedOut) throw new AgentError('deadline_exceeded', `\`${command}\` took longer than ${timeoutMs} ms`, { fields });
  if (result.code === 'ENOENT')
    throw new AgentError('not_found', `the program \`${file}\` is not there`, { cause: result, fields });
  if (result.isMaxBuffer) throw new AgentError('resource_exhausted', `\`${command}\` says too much`, { cause: result, fields });
  const ending = result.exitCode === undefined ? `ended by ${result.signal ?? result.code}` : `exit code ${result.exitCode}`;
  const told = [stderr, stdout].map((text) => text.trim()).filter((text) => text !== '');
  throw new AgentError('internal', [`\`${command}\`: ${ending}`, ...told].join(': ').slice(0, MAX_TOLD_CHARS), {
    cause: result,
    fields,
  });
}
