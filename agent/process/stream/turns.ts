// Who may send bulk next: deficit round robin by bytes over clients, then over a client's streams (design.md §3, "Clients are told apart").

/** Leave to send. */
export interface Turn {
  /** The most that may be sent in it, from 1 to what was asked for. */
  readonly bytes: number;
  /** What is really sent of it; the rest goes back. Once, and at once: before anything is awaited. 0 gives it all back. */
  take(bytes: number): void;
  /** What was taken is out of the agent's memory, or never will be sent. Idempotent. */
  done(): void;
}

export interface Turns {
  /**
   * Resolves when it is this stream's turn. Ask only with something to send.
   * @param client the caller's id @param stream identifies the stream among its client's; one request of a stream at a time
   * @throws the signal's reason
   */
  turn(client: string, stream: object, maxBytes: number, signal?: AbortSignal): Promise<Turn>;
}
