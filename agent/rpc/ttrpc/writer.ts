// The sending side of a ttrpc connection: answers are gathered while the agent works and leave in one writev(2) a turn.
// A client that does not take them is noticed by their number of bytes: first it is not read from, then large answers become errors.
import type net from 'node:net';
import { AgentError } from '../../errors.ts';
import { COPY_THRESHOLD_BYTES, MAX_UNSENT_BYTES, MAX_UNSENT_BYTES_EVER } from '../limits.ts';
import type { Status } from '../status.ts';
import { failureFrame, responsePrefix } from './envelope.ts';

export class ResponseWriter {
  readonly #socket: net.Socket;
  readonly #onDrained: () => void;
  #corked = false;
  #congested = false;

  /** @param onDrained called when a client that had fallen behind has caught up */
  constructor(socket: net.Socket, onDrained: () => void) {
    this.#socket = socket;
    this.#onDrained = onDrained;
    socket.on('drain', () => {
      if (!this.#congested) return;
      this.#congested = false;
      this.#onDrained();
    });
  }

  /** Whether the client has so much to take that it should not be asked for more. */
  get congested(): boolean {
    return this.#congested;
  }

  /** Holds answers back until `flush`, for the time a chunk of requests is worked on. */
  hold(): void {
    if (this.#corked) return;
    this.#corked = true;
    this.#socket.cork();
  }

  flush = (): void => {
    if (!this.#corked) return;
    this.#corked = false;
    this.#socket.uncork();
    if (this.#socket.writableLength > MAX_UNSENT_BYTES) this.#congested = true;
  };

  /**
   * @param onSent told whether the kernel took it
   * @throws {AgentError} resource_exhausted when too much waits to be taken already
   */
  success(streamId: number, payload: Uint8Array, onSent?: (sent: boolean) => void): void {
    const unsent = this.#socket.writableLength;
    if (unsent > MAX_UNSENT_BYTES_EVER && payload.length >= COPY_THRESHOLD_BYTES) {
      const text = `${unsent} bytes of answers wait for this client, of at most ${MAX_UNSENT_BYTES_EVER}`;
      throw new AgentError('resource_exhausted', text, { fields: { unsent, limit: MAX_UNSENT_BYTES_EVER } });
    }
    this.#holdForThisTurn();
    const onWritten = onSent && ((error?: Error | null) => onSent(!error));
    if (payload.length < COPY_THRESHOLD_BYTES) {
      const frame = responsePrefix(streamId, payload.length, payload.length);
      frame.set(payload, frame.length - payload.length);
      this.#socket.write(frame, onWritten);
    } else {
      this.#socket.write(responsePrefix(streamId, payload.length));
      this.#socket.write(payload, onWritten);
    }
  }

  failure(streamId: number, status: Status): void {
    this.#holdForThisTurn();
    this.#socket.write(failureFrame(streamId, status));
  }

  #holdForThisTurn(): void {
    if (this.#corked) return;
    this.hold();
    process.nextTick(this.flush);
  }
}
