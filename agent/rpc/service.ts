// The one table of methods that feeds the ttrpc and the gRPC server. Neither server knows which API it serves,
// and no handler knows which protocol called it.
import type { AgentError } from '../errors.ts';

/** Who is calling: one per connection. */
export interface Caller {
  /** Unique for the life of the agent; identifies the connection, e.g. `c17`. */
  readonly id: string;
  readonly protocol: 'ttrpc' | 'grpc';
  /** `vsock:2:1234`, `unix`, ... for logs and events. */
  readonly peer: string;
}

/** What a connection is busy with. */
export interface ConnectionUse {
  readonly caller: Caller;
  /** Waiting for their answers. */
  readonly calls: number;
  /** Open calls with streams. */
  readonly streams: number;
  readonly sentBytes: number;
}

export interface CallContext {
  readonly caller: Caller;
  /** Aborted when the client goes away, cancels, or its deadline passes; the reason is an {@link AgentError}. */
  readonly signal: AbortSignal;
  /** Request metadata, lower-case keys; the last value of a repeated key. */
  readonly metadata: ReadonlyMap<string, string>;
  /**
   * Tells about the answer that is made next (of a stream: the message that is yielded next): true once its bytes are out of the agent's
   * memory, false when they never will be. Once.
   */
  onAnswered(listener: (sent: boolean) => void): void;
}

/** Bytes to a message and a message to bytes; protobufjs static classes fit as they are. */
export interface Decoder<T> {
  decode(bytes: Uint8Array): T;
}
export interface Encoder<T> {
  encode(message: T): { finish(): Uint8Array };
  /**
   * The encoded message behind `headroom` bytes that are left for the caller: what carries bulk saves a copy by it.
   * undefined for a message that may as well be encoded.
   */
  frame?(message: T, headroom: number): Uint8Array | undefined;
}
export interface Codec<T> extends Decoder<T>, Encoder<T> {}

interface MethodBase<Req, Res> {
  /** Fully qualified service, e.g. `grpc.AgentService`. */
  readonly service: string;
  /** Bare method name, e.g. `CreateContainer`. */
  readonly name: string;
  readonly request: Decoder<Req>;
  readonly response: Encoder<Res>;
}

export interface UnaryMethod<Req = unknown, Res = unknown> extends MethodBase<Req, Res> {
  readonly kind: 'unary';
  /** The handler answers at once, without waiting for anything. Such a call is let in even where a connection is at its limits. */
  readonly immediate?: true;
  /** The method itself, where this one only stands for it until it is loaded. */
  readonly loaded?: () => Promise<AnyUnaryMethod>;
  handle(request: Req, call: CallContext): Promise<Res> | Res;
  /** Answers a call that the guard refuses, where its clients need something other than the refusal. */
  refused?(request: Req, call: CallContext): Promise<Res> | Res;
}

/**
 * A method with a stream on either side; offered on gRPC only (Kata's ttrpc services have none).
 * The handler's iterable is pulled as fast as the client takes messages, so it is held back by a slow client.
 */
export interface StreamMethod<Req = unknown, Res = unknown> extends MethodBase<Req, Res> {
  readonly kind: 'server-stream' | 'bidi';
  handle(requests: AsyncIterable<Req>, call: CallContext): AsyncIterable<Res>;
}

/** Both directions of one call, for a handler that decides by itself what is sent next. */
export interface DuplexStream<Req, Res> {
  /** Read as fast as the handler takes them, whatever the other direction does. */
  readonly requests: AsyncIterable<Req>;
  /** Resolves once the message has been handed to the connection: it is out of the agent's memory. @throws the signal's reason */
  send(message: Res): Promise<void>;
}

/** As {@link StreamMethod}, with the two directions apart; the call ends when the handler does. */
export interface DuplexMethod<Req = unknown, Res = unknown> extends MethodBase<Req, Res> {
  readonly kind: 'duplex';
  handle(stream: DuplexStream<Req, Res>, call: CallContext): Promise<void>;
}

// biome-ignore lint/suspicious/noExplicitAny: a table mixes methods of every message type; each entry is checked where it is made.
export type AnyUnaryMethod = UnaryMethod<any, any>;
// biome-ignore lint/suspicious/noExplicitAny: as above
export type AnyStreamMethod = StreamMethod<any, any>;
// biome-ignore lint/suspicious/noExplicitAny: as above
export type AnyDuplexMethod = DuplexMethod<any, any>;
export type Method = AnyUnaryMethod | AnyStreamMethod | AnyDuplexMethod;

/** Methods by full name, `/grpc.AgentService/CreateContainer`. */
export type MethodTable = ReadonlyMap<string, Method>;

/** Builds the table; a name given twice is a programming error and throws. */
export function methodTable(methods: Iterable<Method>): MethodTable {
  const table = new Map<string, Method>();
  for (const method of methods) {
    const path = methodPath(method);
    if (table.has(path)) throw new TypeError(`method ${path} is registered twice`);
    table.set(path, method);
  }
  return table;
}

export function methodPath(method: Pick<Method, 'service' | 'name'>): string {
  return `/${method.service}/${method.name}`;
}

/** Decides on every call before its handler sees it. Asked once for each method, when the server takes the table. */
export interface Guard {
  /** Undefined when no call of the method can be refused: it then costs nothing. */
  forMethod(method: Method): MethodGuard | undefined;
}

export interface MethodGuard {
  /** @throws {AgentError} permission_denied, naming rule and field */
  admit(request: unknown, caller: Caller): void;
  /**
   * A stream begins: what it gives decides on each of its messages.
   * @throws {AgentError} permission_denied when none of its messages could pass
   */
  open(caller: Caller): (request: unknown) => void;
}

/** A call that has ended. */
export interface FinishedCall {
  /** `/service/Method`; empty when the request could not be read so far. */
  readonly method: string;
  readonly caller: Caller;
  /** performance.now() when the request was there. */
  readonly startedAt: number;
  readonly metadata: ReadonlyMap<string, string>;
  readonly error?: AgentError;
}

/** Called once for each finished call, for the log, the metrics and the traces. Must not throw. */
export type CallObserver = (call: FinishedCall) => void;

export const NO_METADATA: ReadonlyMap<string, string> = new Map();
