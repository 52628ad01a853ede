// What an earlier agent left in the journal: read, judged, and put aside where it can't be trusted.
import { readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { fromErrno, isErrno } from '../errors.ts';
import { JOURNAL_FILES, type JournalStart } from './journal.ts';
import { type Decoded, decodeJournal, JOURNAL_SCHEMA, type JournalRecord, replay } from './journal-format.ts';

export interface LoadedJournal extends JournalStart {
  readonly records: readonly JournalRecord[];
  /** Why it can't be trusted as it is: what exists has to be looked for. undefined for a whole one. */
  readonly degraded: string | undefined;
}

type Readable = Extract<Decoded, { epoch: bigint }>;

/** undefined when there is none. One that can't be trusted is kept beside as `journal.N.quarantined`, in place of an older one. */
export async function loadJournal(directory: string): Promise<LoadedJournal | undefined> {
  const files = await Promise.all(JOURNAL_FILES.map((name) => read(join(directory, name))));
  const judged = judge(files.map((bytes) => (bytes === undefined ? { state: 'blank' } : decodeJournal(bytes))));
  if (judged?.degraded !== undefined) {
    for (const name of JOURNAL_FILES) await putAside(join(directory, name));
  }
  return judged;
}

/** Of two files one counts: the one of the higher epoch. */
export function judge(files: readonly Decoded[]): LoadedJournal | undefined {
  const newer = files.find((file) => file.state === 'newer');
  if (newer?.state === 'newer') {
    const said = `the journal has schema ${newer.schema}, and this agent reads up to ${JOURNAL_SCHEMA}`;
    return { epoch: 0n, records: [], degraded: said };
  }
  const [last, before] = files.filter((file): file is Readable => 'epoch' in file).sort((a, b) => (a.epoch < b.epoch ? 1 : -1));
  if (last === undefined) return undefined;
  if (last.state === 'whole' && (before === undefined || before.epoch > 0n)) {
    return { epoch: last.epoch, records: [...replay(last.records).values()], degraded: undefined };
  }
  // Without its header nobody knows which of the two is the newer.
  const records = before?.epoch === 0n ? [...last.records, ...before.records] : last.records;
  const degraded = last.damage ?? before?.damage ?? 'the journal is damaged';
  return { epoch: 0n, records: [...replay(records).values()], degraded };
}

async function read(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw fromErrno(error, `read the journal ${path}`);
  }
}

async function putAside(path: string): Promise<void> {
  try {
    await rename(path, `${path}.quarantined`);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw fromErrno(error, `put aside the journal ${path}`);
  }
}
