// `-e` and `--env-file` as docker reads them: `KEY=value`, or `KEY` to pass ours on.
import { readFile } from 'node:fs/promises';
import { AgentError, fromErrno } from '../../agent/errors.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * `KEY=value` strings; a bare `KEY` that is not set here is left out.
 * @throws AgentError invalid_argument
 */
export function environmentEntries(entries: readonly string[], ours: Environment): string[] {
  return entries.flatMap((entry) => {
    const end = entry.indexOf('=');
    const name = end < 0 ? entry : entry.slice(0, end);
    if (name === '' || name.includes('\0')) {
      throw new AgentError('invalid_argument', `invalid environment entry '${entry}': give KEY=VALUE or KEY`, {
        fields: { field: 'env' },
      });
    }
    if (end >= 0) return [entry];
    const value = ours[name];
    return value === undefined ? [] : [`${name}=${value}`];
  });
}

/** One entry a line; blank lines and lines that start with `#` are skipped, values are taken as they stand. */
export async function readEnvironmentFile(path: string, ours: Environment): Promise<string[]> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw fromErrno(error, 'read --env-file');
  });
  const lines = text.split(/\r?\n/).map((line) => line.trimStart());
  return environmentEntries(
    lines.filter((line) => line !== '' && !line.startsWith('#')),
    ours,
  );
}
