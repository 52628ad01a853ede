// Turns entries of the method table into grpc-js handlers. Cancellation, deadline and a lost connection all reach the handler as its signal.
import { type EventEmitter, once } from 'node:events';
import type { Readable } from 'node:stream';
import * as grpc from '@grpc/grpc-js';
import { AgentError, isAgentError } from '../../errors.ts';
import type { Logger } from '../../log.ts';
import { unlessAborted } from '../../unless-aborted.ts';
import { Call } from '../call.ts';
import type { InFlight } from '../in-flight.ts';
import { decodeMessage, encodeMessage, frameMessage, invoke } from '../invoke.ts';
import {
  type AnyDuplexMethod,
  type AnyStreamMethod,
  type AnyUnaryMethod,
  type Caller,
  type CallObserver,
  type Method,
  methodPath,
} from '../service.ts';
import { type Status, statusOf } from '../status.ts';

export interface HandlerContext {
  readonly log: Logger;
  readonly onCall?: CallObserver | undefined;
  callerOf(peer: string): Caller | undefined;
  /** What the calls of the connection hold. */
  inFlightOf(caller: Caller): InFlight | undefined;
  /** Counts the open calls of a connection. */
  count(caller: Caller, kind: Method['kind'], change: 1 | -1): void;
}

/** What every kind of call has. */
type AnyCall = Pick<grpc.ServerUnaryCall<Buffer, Buffer>, 'getPeer' | 'getDeadline' | 'metadata'> & EventEmitter;
type StreamingCall = grpc.ServerWritableStream<Buffer, Buffer> | grpc.ServerDuplexStream<Buffer, Buffer>;

export function unaryHandler(method: AnyUnaryMethod, context: HandlerContext): grpc.handleUnaryCall<Buffer, Buffer> {
  return async (call, callback) => {
    const { admit, end, signalled } = begin(method, call, context);
    try {
      admit(call.request.length);
      const response = await invoke(method, call.request, signalled);
      end();
      const onSent = signalled.takeAnswered();
      if (onSent) tellWhenSent(call, onSent);
      callback(null, asBuffer(response));
    } catch (error) {
      signalled.unanswered();
      callback(asServiceError(end(error)));
    }
  };
}

export function streamHandler(method: AnyStreamMethod, context: HandlerContext) {
  return async (call: StreamingCall): Promise<void> => {
    const { admit, end, signalled } = begin(method, call, context);
    const responses = method.handle(requestsOf(method, call), signalled)[Symbol.asyncIterator]();
    try {
      admit();
      await pump(method, responses, call, signalled);
      end();
      call.end();
    } catch (error) {
      signalled.unanswered();
      // A handler that waits for its signal has seen it; one that waits for requests gets the end of them. Neither is waited for.
      void responses
        .return?.()
        .then(undefined, (reason: unknown) => context.log.debug('stream handler failed after its client', { error: reason }));
      call.emit('error', asServiceError(end(error)));
    }
  };
}

export function duplexHandler(method: AnyDuplexMethod, context: HandlerContext) {
  return async (call: grpc.ServerDuplexStream<Buffer, Buffer>): Promise<void> => {
    const { admit, end, signalled } = begin(method, call, context);
    const send = frameSender(method, call);
    const stream = {
      requests: requestsOf(method, call),
      send: (message: unknown) => unlessAborted(send(message), signalled.signal),
    };
    try {
      admit();
      await unlessAborted(method.handle(stream, signalled), signalled.signal);
      end();
      call.end();
    } catch (error) {
      call.emit('error', asServiceError(end(error)));
    }
  };
}

/** gRPC over HTTP/2, "Length-Prefixed-Message": compressed flag and length. */
const PREFIX_BYTES = 5;

/**
 * Messages are encoded behind room for their prefix. grpc-js would copy each one to put the prefix in front, and has no option
 * for that either, so its own step is taken out.
 */
function frameSender(method: AnyDuplexMethod, call: grpc.ServerDuplexStream<Buffer, Buffer>) {
  (call as unknown as { call: { serializeMessage(framed: Buffer): Buffer } }).call.serializeMessage = (framed) => framed;
  return (message: unknown): Promise<void> => {
    const framed = asBuffer(frameMessage(method.name, method.response, message, PREFIX_BYTES));
    framed[0] = 0;
    framed.writeUInt32BE(framed.length - PREFIX_BYTES, 1);
    return new Promise((resolve, reject) => {
      call.write(framed, (error: Error | null | undefined) => (error ? reject(error) : resolve()));
    });
  };
}

/** Sends what the handler yields, at the pace of the client. */
async function pump(
  method: AnyStreamMethod,
  responses: AsyncIterator<unknown>,
  call: StreamingCall,
  signalled: Call,
): Promise<void> {
  const { signal } = signalled;
  for (;;) {
    const next = await unlessAborted(responses.next(), signal);
    if (next.done) return;
    const bytes = asBuffer(encodeMessage(method.name, method.response, next.value));
    const onSent = signalled.takeAnswered();
    const taken = onSent ? call.write(bytes, (error: unknown) => onSent(!error)) : call.write(bytes);
    if (!taken) await once(call, 'drain', { signal });
  }
}

/** What grpc-js keeps in a unary call and does not type: the message's write tells when nghttp2 has given it to the socket. */
interface UnaryInside {
  readonly call?: {
    sendMessage(message: unknown, callback: () => void): void;
    readonly stream?: EventEmitter & { readonly closed?: boolean };
  };
}

/** Without the inside we know, the answer counts as sent as soon as it is handed over. */
function tellWhenSent(call: AnyCall, onSent: (sent: boolean) => void): void {
  const { call: inside } = call as UnaryInside;
  if (inside?.stream === undefined || typeof inside.sendMessage !== 'function') {
    onSent(true);
    return;
  }
  if (inside.stream.closed) {
    onSent(false);
    return;
  }
  const send = inside.sendMessage;
  inside.sendMessage = (message, callback) => {
    send.call(inside, message, () => {
      onSent(true);
      callback();
    });
  };
  inside.stream.once('close', () => onSent(false));
}

async function* requestsOf(method: AnyStreamMethod | AnyDuplexMethod, call: StreamingCall): AsyncGenerator<unknown> {
  if ('request' in call && call.request !== undefined) {
    yield decodeMessage(method.name, method.request, call.request);
    return;
  }
  // Leaving the loop must not tear down the side we answer on.
  const messages = (call as unknown as Readable).iterator({ destroyOnReturn: false });
  for await (const bytes of messages) yield decodeMessage(method.name, method.request, bytes as Buffer);
}

/**
 * The context of a call; what lets it in, or throws when its connection has too much under way; and a function that ends it: tells the
 * observer, and gives the status of a failure.
 */
function begin(method: Method, call: AnyCall, context: HandlerContext) {
  const path = methodPath(method);
  const startedAt = context.onCall ? performance.now() : 0;
  const caller = context.callerOf(call.getPeer()) ?? { id: 'c0', protocol: 'grpc' as const, peer: 'unknown' };
  const metadata = metadataOf(call.metadata);
  const signalled = new Call(caller, metadata);
  call.on('cancelled', () => signalled.abort(cancelReason(call)));
  context.count(caller, method.kind, 1);
  const inFlight = context.inFlightOf(caller);
  let admitted: number | undefined;
  const admit = (requestBytes = 0) => {
    inFlight?.check(method, requestBytes);
    inFlight?.begin(requestBytes);
    admitted = requestBytes;
  };
  let ended = false;
  function end(): undefined;
  function end(error: unknown): Status;
  function end(error?: unknown): Status | undefined {
    if (!ended) context.count(caller, method.kind, -1);
    ended = true;
    if (admitted !== undefined) inFlight?.end(admitted);
    admitted = undefined;
    if (error === undefined) {
      context.onCall?.({ method: path, caller, startedAt, metadata });
      return undefined;
    }
    const status = statusOf(error, path, context.log);
    const told = isAgentError(error) ? error : new AgentError('internal', status.message, { cause: error });
    context.onCall?.({ method: path, caller, startedAt, metadata, error: told });
    return status;
  }
  return { admit, end, signalled };
}

function cancelReason(call: AnyCall): AgentError {
  const deadline = Number(call.getDeadline());
  if (Date.now() >= deadline) return new AgentError('deadline_exceeded', 'timeout');
  return new AgentError('cancelled', 'the client cancelled the call or closed the connection');
}

function metadataOf(metadata: grpc.Metadata): ReadonlyMap<string, string> {
  const map = new Map<string, string>();
  for (const key of Object.keys(metadata.getMap())) {
    const value = metadata.get(key).at(-1);
    if (typeof value === 'string') map.set(key, value);
  }
  return map;
}

function asServiceError(status: Status): Partial<grpc.StatusObject> {
  const metadata = new grpc.Metadata();
  for (const [key, value] of Object.entries(status.trailers ?? {})) metadata.set(key, value);
  return { code: status.code, details: status.message, metadata };
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
