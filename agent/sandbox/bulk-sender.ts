// Bulk on its way to one client: each piece waits for the client's turn, and what has been handed over counts as in flight until it is out of
// the agent's memory, so that transfers and attached streams share one window.
import type { Turns } from '../process/stream/turns.ts';

export interface BulkHost<Message> {
  readonly turns: Turns;
  readonly clientId: string;
  readonly signal: AbortSignal;
  /** Resolves once it is out of the agent's memory. */
  send(message: Message): Promise<void>;
}

export class BulkSender<Message> {
  readonly #host: BulkHost<Message>;

  constructor(host: BulkHost<Message>) {
    this.#host = host;
  }

  /** Resolves when all of it has been handed over. @param message makes one of a part, `from` bytes into the piece */
  async send(piece: Buffer, message: (part: Buffer, from: number) => Message): Promise<void> {
    const { turns, clientId, signal } = this.#host;
    for (let from = 0; from < piece.length; ) {
      const turn = await turns.turn(clientId, this, piece.length - from, signal);
      const part = piece.subarray(from, from + turn.bytes);
      turn.take(part.length);
      this.#host.send(message(part, from)).then(turn.done, turn.done);
      from += part.length;
    }
  }
}
