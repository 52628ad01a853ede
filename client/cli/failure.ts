// How the CLI says that something failed: one line on stderr, with what can be done about it.
import { describeError, hasCode, isAgentError } from '../../agent/errors.ts';
import { writeText } from './fd-output.ts';

/** Longer texts (a runtime's whole log) are cut. */
const MAX_LENGTH = 2000;

/** Writes the line and hands `status` back, for the caller to return. */
export async function reportError(error: unknown, status: number): Promise<number> {
  await writeText(2, `berth: ${errorLine(error)}\n`).catch(() => {});
  if (process.env['BERTH_DEBUG'] !== undefined && error instanceof Error) await writeText(2, `${error.stack}\n`).catch(() => {});
  return status;
}

export function errorLine(error: unknown): string {
  const text = oneLine(describeError(error));
  const advice = adviceFor(error);
  return advice === undefined ? text : `${text} (${advice})`;
}

/** What to do next, where the text alone does not say it. */
function adviceFor(error: unknown): string | undefined {
  if (!isAgentError(error)) return 'BERTH_DEBUG=1 shows where';
  if (/container .*not found/.test(error.message)) return '`berth ps -a` lists the containers';
  if (hasCode(error, 'already_exists') && error.message.includes('container'))
    return 'choose another --name, or remove it with `berth rm -f`';
  if (hasCode(error, 'unavailable') && /no agent answers|connection/.test(error.message))
    return '`berth vm ls` shows which VMs run';
  return undefined;
}

/** Text from a guest must neither break the line nor drive the terminal. */
function oneLine(text: string): string {
  const flat = text
    .replace(/\s*\n\s*/g, '; ')
    .replace(/[\u0000-\u001f\u007f-\u009f]/g, '?')
    .trim();
  return flat.length > MAX_LENGTH ? `${flat.slice(0, MAX_LENGTH)}...` : flat;
}
