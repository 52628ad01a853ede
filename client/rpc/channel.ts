// What every client of an agent is built on: unary calls of encoded messages, whichever protocol carries them.

export interface CallOptions {
  /** Stops waiting. gRPC tells the agent; ttrpc has no such message, so there the agent goes on until its deadline. */
  signal?: AbortSignal;
  /** Given to the agent as its deadline, and kept here as well. Default: none. */
  timeoutMs?: number;
  /** Lower-case keys. */
  metadata?: Readonly<Record<string, string>>;
}

/** One connection; many calls at a time. */
export interface RpcChannel {
  /**
   * @param service fully qualified, `grpc.AgentService`
   * @param method bare, `CreateContainer`
   * @throws {AgentError} the agent's own status; deadline_exceeded; cancelled; unavailable when the connection is lost;
   * resource_exhausted when the message is too large or too many calls wait
   */
  unary(service: string, method: string, request: Uint8Array, options?: CallOptions): Promise<Uint8Array>;
  /** Ends the connection; calls that still wait fail with `cancelled`. Idempotent. */
  close(): void;
  /** Resolves once the connection is gone, whoever ended it. */
  readonly closed: Promise<void>;
}
