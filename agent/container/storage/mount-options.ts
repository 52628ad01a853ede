// Options of mount(8) to the arguments of mount(2).
import { MS } from '../../../native/index.ts';
import { AgentError } from '../../errors.ts';

export interface MountOptions {
  /** MS_* bits without propagation. */
  readonly flags: number;
  /** MS_PRIVATE and the like, each for a call of its own (man 2 mount). */
  readonly propagation: readonly number[];
  /** What is left, for the file system: `size=64m,mode=1777`. */
  readonly data: string;
}

/** mount(2) takes one page, with the terminating NUL. */
const MAX_DATA_BYTES = 4095;

const SET: Readonly<Record<string, number>> = {
  bind: MS.BIND,
  rbind: MS.BIND | MS.REC,
  dirsync: MS.DIRSYNC,
  iversion: 1 << 23,
  lazytime: MS.LAZYTIME,
  mand: MS.MANDLOCK,
  noatime: MS.NOATIME,
  nodev: MS.NODEV,
  nodiratime: MS.NODIRATIME,
  noexec: MS.NOEXEC,
  nosuid: MS.NOSUID,
  nosymfollow: MS.NOSYMFOLLOW,
  relatime: MS.RELATIME,
  remount: MS.REMOUNT,
  ro: MS.RDONLY,
  silent: MS.SILENT,
  strictatime: MS.STRICTATIME,
  sync: MS.SYNCHRONOUS,
};

const CLEAR: Readonly<Record<string, number>> = {
  async: MS.SYNCHRONOUS,
  atime: MS.NOATIME,
  dev: MS.NODEV,
  diratime: MS.NODIRATIME,
  exec: MS.NOEXEC,
  loud: MS.SILENT,
  nolazytime: MS.LAZYTIME,
  nomand: MS.MANDLOCK,
  norelatime: MS.RELATIME,
  nostrictatime: MS.STRICTATIME,
  rw: MS.RDONLY,
  suid: MS.NOSUID,
  symfollow: MS.NOSYMFOLLOW,
};

const PROPAGATION: Readonly<Record<string, number>> = {
  private: MS.PRIVATE,
  rprivate: MS.PRIVATE | MS.REC,
  rshared: MS.SHARED | MS.REC,
  rslave: MS.SLAVE | MS.REC,
  runbindable: MS.UNBINDABLE | MS.REC,
  shared: MS.SHARED,
  slave: MS.SLAVE,
  unbindable: MS.UNBINDABLE,
};

/** Words for mount(8) alone. */
const IGNORED: ReadonlySet<string> = new Set(['', 'defaults', '_netdev', 'nofail', 'auto', 'noauto', 'user', 'nouser']);

/** In the order given: a later option overrides an earlier one. @throws invalid_argument */
export function parseMountOptions(options: readonly string[]): MountOptions {
  let flags = 0;
  const propagation: number[] = [];
  const data: string[] = [];
  for (const option of options.flatMap(splitOption)) {
    if (Object.hasOwn(SET, option)) flags |= SET[option]!;
    else if (Object.hasOwn(CLEAR, option)) flags &= ~CLEAR[option]!;
    else if (Object.hasOwn(PROPAGATION, option)) propagation.push(PROPAGATION[option]!);
    else if (!IGNORED.has(option)) data.push(option);
  }
  const text = data.join(',');
  if (text.includes('\0')) throw invalid('hold a NUL character');
  if (Buffer.byteLength(text) > MAX_DATA_BYTES) throw invalid(`take more than ${MAX_DATA_BYTES} bytes`);
  return { flags, propagation, data: text };
}

/** An element may hold several (`noexec,nosuid`); a value in quotes or with an escaped comma stays whole. */
function splitOption(option: string): string[] {
  return /["\\]/.test(option) ? [option] : option.split(',');
}

/** The options without those that have this key, and the last value of it: `fsgid=1000`. */
export function takeOption(options: readonly string[], key: string): { value: string | undefined; rest: string[] } {
  const prefix = `${key}=`;
  const taken = options.filter((option) => option.startsWith(prefix));
  return { value: taken.at(-1)?.slice(prefix.length), rest: options.filter((option) => !option.startsWith(prefix)) };
}

function invalid(problem: string): AgentError {
  return new AgentError('invalid_argument', `storages[].options: ${problem}`, { fields: { field: 'options' } });
}
