// The files that the streams of a process leave to the next agent, on their way into the store. Nothing leaves a pipe, and no input is
// accepted, before they are there.
import { native } from '../../native/index.ts';
import { keyOfPart, type StdioKeeping } from './stdio-store.ts';
import type { Retention } from './stream/byte-log.ts';
import { Ledger } from './stream/ledger.ts';

/** Told to the next agent, which may be another version. Raise it with what an older agent would misread. */
export const STDIO_VERSION = 1;

/** How a process's output is kept; what is left out is as Kata has it: nothing goes, nothing stays. */
export interface OutputOptions {
  readonly stdout?: Partial<Retention>;
  readonly stderr?: Partial<Retention>;
  /** After the exit, until the end is told though something holds the stream; undefined waits for that. */
  readonly drainMs?: number | undefined;
}

export interface StdioDescription {
  readonly version: typeof STDIO_VERSION;
  readonly terminal: boolean;
  readonly output?: OutputOptions | undefined;
  /** As in StdioKeeping. */
  readonly of?: string | undefined;
}

/** Files of a process's streams, owned by whoever has this. With a terminal there is no `stderr`. */
export interface KeptStdio {
  readonly keeping: StdioKeeping;
  readonly ledger: Ledger;
  readonly stdin: number;
  readonly stdout: number;
  readonly stderr: number | undefined;
  /** Of a terminal: between it and its log. */
  readonly relay: readonly [number, number] | undefined;
  /** An earlier agent made them. */
  readonly adopted: boolean;
}

interface Keep {
  readonly keep?: StdioKeeping | undefined;
  readonly output?: OutputOptions | undefined;
}

/** Puts pipes, by the agent's ends, and new files for them into the store; they stay the caller's. @throws what the store does: nothing is left */
export async function keepPipes(
  { keep, output }: Keep,
  ends: { stdin: number | undefined; stdout: number; stderr: number },
): Promise<KeptStdio | undefined> {
  if (keep === undefined) return undefined;
  return await undoing(async (file) => {
    const [ledger, stdout, stderr, stdin] = [file('ledger'), file('stdout'), file('stderr'), file('stdin')];
    const kept: KeptStdio = {
      keeping: keep,
      ledger: new Ledger(ledger),
      stdin,
      stdout,
      stderr,
      relay: undefined,
      adopted: false,
    };
    kept.ledger.describe({ version: STDIO_VERSION, terminal: false, output, of: keep.of } satisfies StdioDescription);
    const { store, key } = keep;
    await Promise.all([
      store.put(keyOfPart(key, 'whole'), [ledger, stdout, stderr, stdin, ends.stdout, ends.stderr]),
      ends.stdin !== undefined && store.put(keyOfPart(key, 'stdin'), [ends.stdin]),
    ]);
    return kept;
  }, keep);
}

/** As {@link keepPipes}, of a terminal by its master. */
export async function keepTerminal({ keep, output }: Keep, master: number): Promise<KeptStdio | undefined> {
  if (keep === undefined) return undefined;
  return await undoing(async (file, pipe) => {
    const [ledger, stdout, stdin] = [file('ledger'), file('stdout'), file('stdin')];
    const relay = pipe();
    const kept: KeptStdio = {
      keeping: keep,
      ledger: new Ledger(ledger),
      stdin,
      stdout,
      stderr: undefined,
      relay,
      adopted: false,
    };
    kept.ledger.describe({ version: STDIO_VERSION, terminal: true, output, of: keep.of } satisfies StdioDescription);
    await keep.store.put(keyOfPart(keep.key, 'whole'), [ledger, stdout, stdin, master, ...relay]);
    return kept;
  }, keep);
}

/** Closes the files and takes them out of the store. */
export function dropKept({ keeping, ledger, stdin, stdout, stderr, relay }: KeptStdio): void {
  ledger.close();
  for (const fd of [stdin, stdout, stderr, ...(relay ?? [])]) if (fd !== undefined) native().close(fd);
  forgetPart(keeping, 'stdin');
  forgetPart(keeping, 'whole');
}

/** A store that fails has lost PID 1, and with it there is no next agent. */
export function forgetPart({ store, key }: StdioKeeping, part: Parameters<typeof keyOfPart>[1]): void {
  store.delete(keyOfPart(key, part)).catch(() => {});
}

async function undoing<T>(
  make: (file: (name: string) => number, pipe: () => [number, number]) => Promise<T>,
  keeping: StdioKeeping,
): Promise<T> {
  const door = native();
  const fds: number[] = [];
  const file = (name: string) => {
    const fd = door.memfdCreate(name);
    fds.push(fd);
    return fd;
  };
  const pipe = () => {
    const ends = door.pipe();
    fds.push(...ends);
    return ends;
  };
  try {
    return await make(file, pipe);
  } catch (error) {
    for (const fd of fds) door.close(fd);
    forgetPart(keeping, 'stdin');
    forgetPart(keeping, 'whole');
    throw error;
  }
}
