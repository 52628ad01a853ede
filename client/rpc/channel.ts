// What every client of an agent is built on: unary calls of encoded messages, whichever protocol carries them.

export interface CallOptions {
  /** Stops waiting. gRPC tells the agent; ttrpc has no such message, so there the agent goes on until its deadline. */
  signal?: AbortSignal;
  /** Given to the agent as its deadline, and kept here as well. Default: none. */
  timeoutMs?: number;
  /** Lower-case keys. */
  metadata?: Readonly<Record<string, string>>;
}

/** A call with a stream on either side. Messages are encoded; iterate once. */
export interface RpcStream extends AsyncIterable<Uint8Array> {
  /** Resolves when more may be sent. @throws {AgentError} how the call has ended */
  send(message: Uint8Array): Promise<void>;
  /** Nothing more is sent; the agent may go on. */
  end(): void;
  /** Ends the call; the iteration fails with `cancelled`. Idempotent. */
  cancel(): void;
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
  /** Opens a call with streams; gRPC only. @throws {AgentError} unimplemented on ttrpc; unavailable when the connection is lost */
  stream(service: string, method: string, options?: CallOptions): RpcStream;
  /** Ends the connection; calls that still wait fail with `cancelled`. Idempotent. */
  close(): void;
  /** Resolves once the connection is gone, whoever ended it. */
  readonly closed: Promise<void>;
}
