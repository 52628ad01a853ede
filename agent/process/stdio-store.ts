// How the streams of a process outlive the agent: PID 1 holds their fds under a key of 16 bytes, and a file in memory that is among them
// tells the next agent all there is to know, so the key is all that needs to be written down before the process is started. The next agent
// takes them over by adopt-stdio.ts.
import type { FdStore } from '../keeper/fd-store.ts';

export type StdioStore = Pick<FdStore, 'put' | 'get' | 'delete'>;

/** Where the streams of one process are kept: `StdioOptions.keep`. Without it they end with the agent. */
export interface StdioKeeping {
  readonly store: StdioStore;
  /** From {@link newStdioKey}; written down before the process is started. */
  readonly key: Buffer;
  /** What they are streams of, for a next agent that finds them and no record of it ({@link findStreams} in find-streams.ts). */
  readonly of?: string | undefined;
}

/** The parts that go before the rest does, because what holds them open is noticed at the other end; each has its own key. */
export const PARTS = { whole: 0, stdin: 1, stdout: 2, stderr: 3 } as const;
export type Part = keyof typeof PARTS;

const KEY_BYTES = 16;
const PART_AT = KEY_BYTES - 1;
let made = 0;

/** Like no other of this boot: when it was made, and the how-manieth it is. Its last byte is 0 and stands for the part. */
export function newStdioKey(): Buffer {
  const key = Buffer.alloc(KEY_BYTES);
  key.writeBigUInt64LE(process.hrtime.bigint(), 0);
  key.writeUInt32LE(++made >>> 0, 8);
  return key;
}

export function keyOfPart(key: Buffer, part: Part): Buffer {
  const own = Buffer.from(key);
  own[PART_AT] = PARTS[part];
  return own;
}

/** The process that a key of the store belongs to, by the key that was written down: for finding what belongs to nobody. */
export function processKeyOf(key: Buffer): Buffer {
  return keyOfPart(key, 'whole');
}

/** Lets go of all that is kept of a process, adopted or not. */
export async function forgetStdio({ store, key }: StdioKeeping): Promise<void> {
  await Promise.all((Object.keys(PARTS) as Part[]).map((part) => store.delete(keyOfPart(key, part))));
}
