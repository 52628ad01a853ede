// The writing side of a process's standard input: a pipe, or the master of its terminal.
import type { Socket } from 'node:net';
import { AgentError, errnoOf } from '../errors.ts';

/** Bytes that may wait for the process to read; a further write is refused, so one stuck reader costs a bounded amount. */
export const STDIN_LIMIT_BYTES = 8 * 1024 * 1024;
/** End-of-file as a terminal in canonical mode reads it (man 3 termios, VEOF). */
const END_OF_TRANSMISSION = '\x04';

export class StdinSink {
  readonly #socket: Socket;
  readonly #terminal: boolean;
  #closed = false;
  #failure: Error | undefined;

  constructor(socket: Socket, options: { terminal: boolean }) {
    this.#socket = socket;
    this.#terminal = options.terminal;
    socket.on('error', (error) => {
      this.#failure ??= error;
    });
  }

  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Resolves when all of `data` is in the kernel's buffer, so a process that does not read holds its writer back.
   * @throws failed_precondition after close or when nobody can read any more; resource_exhausted over the bound
   */
  write(data: Uint8Array): Promise<void> {
    if (this.#closed) return Promise.reject(new AgentError('failed_precondition', 'Cannot get writer: stdin is closed'));
    if (this.#failure !== undefined) return Promise.reject(writeError(this.#failure));
    if (this.#socket.writableLength + data.length > STDIN_LIMIT_BYTES) {
      return Promise.reject(
        new AgentError('resource_exhausted', `stdin holds ${this.#socket.writableLength} bytes that the process has not read`, {
          fields: { limit: 'stdin-bytes', bytes: STDIN_LIMIT_BYTES },
        }),
      );
    }
    return new Promise((resolve, reject) => {
      this.#socket.write(data, (error) => (error ? reject(writeError(error)) : resolve()));
    });
  }

  /** End of input, after what was written. On a terminal the end-of-file character goes out, and output goes on. Repeating it is fine. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#terminal) this.#socket.write(END_OF_TRANSMISSION, () => {});
    // shutdown(2) does nothing to a pipe: its reader sees the end only when the fd is closed.
    else this.#socket.end(() => this.#socket.destroy());
  }

  /** Lets go of the fd whatever is still unwritten: the process is gone or removed. */
  destroy(): void {
    this.#closed = true;
    this.#socket.destroy();
  }
}

function writeError(error: Error): AgentError {
  const errno = errnoOf(error);
  const gone = errno === 'EPIPE' || errno === 'EIO';
  const text = gone ? `EPIPE: nobody reads stdin any more` : `write stdin: ${error.message}`;
  return new AgentError(gone ? 'failed_precondition' : 'internal', text, { cause: error });
}
