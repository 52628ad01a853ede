// Bulk on its way to one client: each piece waits for the client's turn, and counts as in flight until it is out of the agent's memory, so
// that transfers and attached streams share one window. A transfer has no credit as an attached stream has: one whose reader has stopped gives
// the window back after a moment, for the others of the same client, and holds what it has until it is read.
import { AgentError } from '../errors.ts';
import type { Turns } from '../process/stream/turns.ts';

/** What a piece may take to leave before its reader counts as stopped. */
const STOPPED_AFTER_MS = 100;
/** In the whole agent; one that is not read holds two pieces. */
const MAX_TRANSFERS = 128;

let open = 0;

export interface BulkHost<Message> {
  readonly turns: Turns;
  readonly clientId: string;
  readonly signal: AbortSignal;
  /** Resolves once it is out of the agent's memory. */
  send(message: Message): Promise<void>;
}

export class BulkSender<Message> implements Disposable {
  readonly #host: BulkHost<Message>;
  /** Of the part that was sent last; never rejects. */
  #left: Promise<void> = Promise.resolve();
  #over = false;

  /** @throws resource_exhausted */
  constructor(host: BulkHost<Message>) {
    this.#host = host;
    if (open >= MAX_TRANSFERS) {
      throw new AgentError('resource_exhausted', `more than ${MAX_TRANSFERS} files and archives are being read`, {
        fields: { limit: 'transfers', bound: MAX_TRANSFERS },
      });
    }
    open++;
  }

  /** Resolves when all of it has been handed over. @param message makes one of a part, `from` bytes into the piece */
  async send(piece: Buffer, message: (part: Buffer, from: number) => Message): Promise<void> {
    const { turns, clientId, signal } = this.#host;
    for (let from = 0; from < piece.length; ) {
      await this.#left;
      const turn = await turns.turn(clientId, this, piece.length - from, signal);
      const part = piece.subarray(from, from + turn.bytes);
      turn.take(part.length);
      const stopped = setTimeout(turn.done, STOPPED_AFTER_MS);
      const left = () => {
        clearTimeout(stopped);
        turn.done();
      };
      this.#left = this.#host.send(message(part, from)).then(left, left);
      from += part.length;
    }
  }

  [Symbol.dispose](): void {
    if (!this.#over) open--;
    this.#over = true;
  }
}
