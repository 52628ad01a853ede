// Streams of processes of which nothing else is known any more: what PID 1 holds, asked one by one what it is of.
import { native } from '../../native/index.ts';
import type { FdStore } from '../keeper/fd-store.ts';
import type { StdioDescription } from './stdio-files.ts';
import { processKeyOf } from './stdio-store.ts';
import { Ledger } from './stream/ledger.ts';

/** Keys of the kept streams in hex, by what they are of (`StdioKeeping.of`); the newest where there are several. */
export async function findStreams(store: Pick<FdStore, 'list' | 'get'>): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const keys = (await store.list()).map(({ key }) => key).filter((key) => key.equals(processKeyOf(key)));
  // A key begins with the time at which it was made.
  keys.sort((a, b) => (a.readBigUInt64LE(0) < b.readBigUInt64LE(0) ? -1 : 1));
  for (const key of keys) {
    const name = await readName(store, key);
    if (name !== undefined) found.set(name, key.toString('hex'));
  }
  return found;
}

async function readName(store: Pick<FdStore, 'get'>, key: Buffer): Promise<string | undefined> {
  const fds = await store.get(key);
  try {
    const { of } = fds.length === 0 ? {} : (new Ledger(fds[0]).description() as Partial<StdioDescription>);
    return typeof of === 'string' ? of : undefined;
  } catch {
    return undefined;
  } finally {
    for (const fd of fds) native().close(fd);
  }
}
