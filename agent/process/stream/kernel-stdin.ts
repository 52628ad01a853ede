// Standard input as a file in the kernel, from which sendfile(2) feeds the process: the file's size is what was accepted, its position what
// was delivered, exact at every instruction.
import { native, type Watch } from '../../../native/index.ts';
import { isErrno } from '../../errors.ts';
import type { Notice, StdinStore } from './log-store.ts';
import { MemoryFile } from './memory-file.ts';

/** End-of-file as a terminal in canonical mode reads it (man 3 termios, VEOF). */
const END_OF_TRANSMISSION = Uint8Array.of(4);

export class KernelStdin implements StdinStore {
  readonly endMark: Uint8Array | undefined;
  readonly #fd: number;
  readonly #owned: boolean;
  readonly #file = new MemoryFile();
  #onWritable: () => void = () => {};
  #watch: Watch | undefined;
  #closed = false;

  /** Owns the writing end of a pipe; a terminal's master is its output's. */
  constructor(fd: number, { terminal = false } = {}) {
    this.#fd = fd;
    this.#owned = !terminal;
    this.endMark = terminal ? END_OF_TRANSMISSION : undefined;
  }

  writeAt(offset: bigint, data: Uint8Array): void {
    for (let done = 0; done < data.length; ) {
      const part = done === 0 ? data : data.subarray(done);
      done += native().writeAt(this.#file.fd, part, offset + BigInt(done));
    }
  }

  deliver(maxBytes: number): number | 'full' | 'gone' {
    this.#watched();
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
      resume: () => this.#watched().resume(),
      close: () => this.#watch?.close(),
    };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#watch?.close();
    if (this.#owned) native().close(this.#fd);
    this.#file.close();
  }

  /** It also makes the fd non-blocking. */
  #watched(): Watch {
    if (this.#watch === undefined) {
      this.#watch = native().watchWritable(this.#fd, () => this.#onWritable());
      this.#watch.pause();
    }
    return this.#watch;
  }
}
