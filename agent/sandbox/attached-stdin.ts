// Standard input as one attached client writes it: by offset, within a window. What goes wrong is told and ends the input of this call,
// not the process and not the call.
import { AgentError, hasCode } from '../errors.ts';
import type { StdinLog } from '../process/stream/stdin-log.ts';
import type { AttachHost, StdinFailure } from './attach-event.ts';

/** Bytes that a client may have sent beyond what it was told are accepted. */
export const STDIN_WINDOW_BYTES = 256 * 1024;

export class AttachedStdin {
  readonly #stdin: StdinLog;
  readonly #host: AttachHost;
  readonly #stopListening: () => void;
  /** What was sent and is not accepted yet. */
  #waitingBytes = 0;
  #writing: Promise<void> = Promise.resolve();
  #wrote = false;
  #over = false;
  #told = -1n;
  #telling = false;

  constructor(stdin: StdinLog, host: AttachHost) {
    this.#stdin = stdin;
    this.#host = host;
    this.#stopListening = stdin.onChange(() => {
      // Whoever feeds it is to know at once, not at its next write.
      if (this.#wrote && stdin.state === 'refused') this.#fail('reader-gone', 'EPIPE: nobody reads stdin any more');
    });
  }

  /** @throws resource_exhausted over the window */
  write(offset: bigint, data: Uint8Array): void {
    if (this.#over) return;
    if (this.#waitingBytes + data.length > STDIN_WINDOW_BYTES) {
      throw new AgentError('resource_exhausted', `more than ${STDIN_WINDOW_BYTES} bytes of stdin wait on this call`, {
        fields: { limit: 'stdin-window' },
      });
    }
    this.#wrote = true;
    this.#waitingBytes += data.length;
    this.#then(async () => {
      try {
        await this.#stdin.write(data, { offset, signal: this.#host.signal });
      } finally {
        this.#waitingBytes -= data.length;
      }
      this.#tellAccepted();
    });
  }

  close(offset: bigint): void {
    if (this.#over) return;
    this.#then(async () => {
      this.#stdin.close(offset);
      this.#over = true;
    });
  }

  leave(): void {
    this.#over = true;
    this.#stopListening();
  }

  /** One after the other, in the order they came. */
  #then(step: () => Promise<void>): void {
    this.#writing = this.#writing.then(async () => {
      if (this.#over) return;
      try {
        await step();
      } catch (error) {
        this.#failed(error);
      }
    });
  }

  #failed(error: unknown): void {
    if (this.#host.signal.aborted) return;
    const message = error instanceof Error ? error.message : String(error);
    if (hasCode(error, 'out_of_range')) this.#fail('hole', message);
    else if (this.#stdin.state === 'refused') this.#fail('reader-gone', message);
    else this.#fail('closed', message);
  }

  #fail(reason: StdinFailure['reason'], message: string): void {
    if (this.#over) return;
    this.#over = true;
    const offset = this.#stdin.accepted;
    this.#host.send({ kind: 'stdin-failed', failure: { reason, offset, message } }).catch(() => {});
  }

  /** Only the newest: while one is on its way the next one waits for it. */
  #tellAccepted(): void {
    if (this.#telling) return;
    const offset = this.#stdin.accepted;
    if (offset === this.#told) return;
    this.#told = offset;
    this.#telling = true;
    const told = () => {
      this.#telling = false;
      if (!this.#over) this.#tellAccepted();
    };
    this.#host.send({ kind: 'stdin-accepted', offset }).then(told, () => {});
  }
}
