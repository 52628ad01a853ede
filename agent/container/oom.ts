// Out-of-memory kills in a container: the counter `oom_kill` of memory.events (cgroup-v2.rst), told of each increase.
// INVARIANT: an increase is told exactly once; the counter is read again whenever the kernel says that it may have changed.
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { type Native, native } from '../../native/index.ts';
import { isErrno } from '../errors.ts';
import { parseFlatKeyed, readCgroupFile } from './cgroup-file.ts';

/** memory.events has six short lines. */
const MAX_BYTES = 4096;

export interface OomWatch {
  /** Looks now, for kills whose notice is still on its way. To be called before the cgroup is removed. */
  check(): Promise<void>;
  /** No more calls after this; idempotent. */
  close(): void;
}

/**
 * Counts from now on, in the cgroup and all below it, so start it before the container's program. Where there is no memory
 * controller there is nothing to see.
 * @param onOom given the number of processes killed since the last call
 * @param options.told how many an earlier agent has told of: what came after them is told as well
 */
export async function watchOom(
  directory: string,
  onOom: (kills: number) => void,
  { door = native(), told }: { door?: Pick<Native, 'watchPriority'>; told?: number } = {},
): Promise<OomWatch> {
  const file = await openEvents(join(directory, 'memory.events'));
  if (file === undefined) return { check: async () => {}, close: () => {} };
  const watch = await CounterWatch.start(file, onOom, door, told);
  if (told !== undefined) await watch.check();
  return watch;
}

/** The kills so far, in the cgroup and all below it; 0 where nothing counts them. */
export async function countOomKills(directory: string): Promise<number> {
  return Number(parseFlatKeyed(await readCgroupFile(join(directory, 'memory.events'))).get('oom_kill') ?? 0n);
}

async function openEvents(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

class CounterWatch implements OomWatch {
  readonly #file: FileHandle;
  readonly #onOom: (kills: number) => void;
  readonly #watch: { close(): void };
  #last = 0n;
  #closed = false;
  /** The looks that were asked for, one after the other. */
  #looking: Promise<void> = Promise.resolve();
  /** Looks asked for and not begun; one is enough for any number of notices. */
  #waiting: Promise<void> | undefined;

  private constructor(file: FileHandle, onOom: (kills: number) => void, door: Pick<Native, 'watchPriority'>) {
    this.#file = file;
    this.#onOom = onOom;
    // A failed look is told by the check that its owner asks for.
    this.#watch = door.watchPriority(file.fd, () => void this.check().catch(() => {}));
  }

  static async start(
    file: FileHandle,
    onOom: (kills: number) => void,
    door: Pick<Native, 'watchPriority'>,
    told: number | undefined,
  ): Promise<CounterWatch> {
    let watch: CounterWatch | undefined;
    try {
      watch = new CounterWatch(file, onOom, door);
      // Watched first, then read: what happens in between is noticed, and its look waits for this one.
      const first = watch.#count();
      watch.#looking = first.then((count) => {
        watch!.#last = told === undefined ? (count ?? 0n) : BigInt(told);
      });
      await watch.#looking;
      return watch;
    } catch (error) {
      if (watch) watch.close();
      else await file.close();
      throw error;
    }
  }

  check(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#waiting ??= this.#looking.then(() => {
      this.#waiting = undefined;
      const look = this.#look();
      this.#looking = look.catch(() => {});
      return look;
    });
    return this.#waiting;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#watch.close();
    // After the look that is under way, which still uses the fd.
    void this.#looking.then(() => this.#file.close());
  }

  async #look(): Promise<void> {
    if (this.#closed) return;
    const count = await this.#count();
    if (count === undefined || count <= this.#last) return;
    const kills = Number(count - this.#last);
    this.#last = count;
    if (!this.#closed) this.#onOom(kills);
  }

  /** Undefined once the cgroup is gone. */
  async #count(): Promise<bigint | undefined> {
    try {
      const { buffer, bytesRead } = await this.#file.read(Buffer.alloc(MAX_BYTES), 0, MAX_BYTES, 0);
      return parseFlatKeyed(buffer.toString('utf8', 0, bytesRead)).get('oom_kill');
    } catch (error) {
      if (isErrno(error, 'ENODEV', 'ENOENT')) return undefined;
      throw error;
    }
  }
}
