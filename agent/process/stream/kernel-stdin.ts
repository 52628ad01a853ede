// Standard input as a file in the kernel, from which sendfile(2) feeds the process: the file's size is what was accepted, its position what
// was delivered, exact at every instruction.
import { native, type Watch } from '../../../native/index.ts';
import { isErrno } from '../../errors.ts';
import type { Slot } from './ledger.ts';
import type { FoundStdin, Notice, StdinRecord, StdinStore } from './log-store.ts';
import { MemoryFile } from './memory-file.ts';

/** End-of-file as a terminal in canonical mode reads it (man 3 termios, VEOF). */
const END_OF_TRANSMISSION = Uint8Array.of(4);

/** In the slot: state, and where it was closed. */
const RECORD_NOTE = 0;
const STATES: readonly StdinRecord['state'][] = ['open', 'closed', 'refused'];
/** Of an input that was never closed, so that 0 can be a place. */
const NOT_CLOSED = 2n ** 64n - 1n;

/** What of an input outlives the agent. */
export interface KeptStdin {
  readonly file: number;
  readonly slot: Slot;
  /** They are an earlier agent's, with input in them. */
  readonly adopted: boolean;
}

export interface KernelStdinOptions {
  readonly terminal?: boolean;
  /** Owned from here on. */
  readonly kept?: KeptStdin | undefined;
  /** The fd has been closed. */
  readonly onClosed?: () => void;
}

export class KernelStdin implements StdinStore {
  readonly endMark: Uint8Array | undefined;
  readonly found: FoundStdin | undefined;
  readonly #slot: Slot | undefined;
  readonly #onClosed: () => void;
  readonly #fd: number | undefined;
  readonly #owned: boolean;
  readonly #file: MemoryFile;
  #onWritable: () => void = () => {};
  #watch: Watch | undefined;
  #closed = false;

  /** Owns the writing end of a pipe; a terminal's master is its output's. undefined: it has been closed already. */
  constructor(fd: number | undefined, { terminal = false, kept, onClosed = () => {} }: KernelStdinOptions = {}) {
    this.#fd = fd;
    this.#owned = !terminal;
    this.#onClosed = onClosed;
    this.#slot = kept?.slot;
    this.#file = new MemoryFile(kept?.file);
    this.endMark = terminal ? END_OF_TRANSMISSION : undefined;
    if (kept?.adopted) this.found = find(kept);
  }

  record({ state, closedAt }: StdinRecord): void {
    this.#slot?.write(RECORD_NOTE, [BigInt(STATES.indexOf(state)), closedAt ?? NOT_CLOSED]);
  }

  writeAt(offset: bigint, data: Uint8Array): void {
    for (let done = 0; done < data.length; ) {
      const part = done === 0 ? data : data.subarray(done);
      done += native().writeAt(this.#file.fd, part, offset + BigInt(done));
    }
  }

  deliver(maxBytes: number): number | 'full' | 'gone' {
    if (this.#fd === undefined) return 'gone';
    this.#watched(this.#fd);
    try {
      const moved = native().sendFile(this.#fd, this.#file.fd, maxBytes);
      return moved < 0 ? 'full' : moved;
    } catch (error) {
      if (isErrno(error, 'EPIPE', 'EIO')) return 'gone';
      throw error;
    }
  }

  forgetBelow(offset: bigint): void {
    this.#file.forgetBelow(offset);
  }

  /** Most processes are never given input: there is nothing to watch until then. */
  watch(onWritable: () => void): Notice {
    this.#onWritable = onWritable;
    return {
      pause: () => this.#watch?.pause(),
      resume: () => {
        if (this.#fd !== undefined) this.#watched(this.#fd).resume();
      },
      close: () => this.#watch?.close(),
    };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#watch?.close();
    if (this.#owned && this.#fd !== undefined) native().close(this.#fd);
    this.#file.close();
    this.#onClosed();
  }

  /** It also makes the fd non-blocking. */
  #watched(fd: number): Watch {
    if (this.#watch === undefined) {
      this.#watch = native().watchWritable(fd, () => this.#onWritable());
      this.#watch.pause();
    }
    return this.#watch;
  }
}

function find({ file, slot }: KeptStdin): FoundStdin {
  const [state = 0n, closedAt] = slot.read(RECORD_NOTE, 2);
  return {
    state: STATES[Number(state)] ?? 'refused',
    closedAt: state === 0n || closedAt === NOT_CLOSED ? undefined : closedAt,
    written: native().fileSize(file),
    moved: native().filePosition(file),
  };
}
