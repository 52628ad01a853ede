// gRPC over a connected socket, on Node's http2 alone: grpc-js's client insists on dialling by itself, and costs twice as much a call.
// (gRPC over HTTP/2, "Requests" and "Responses").
import http2 from 'node:http2';
import type net from 'node:net';
import { AgentError, type Code, describeError, isAgentError } from '../../agent/errors.ts';
import { MAX_MESSAGE_BYTES } from '../../agent/rpc/limits.ts';
import { errorOf } from '../../agent/rpc/status.ts';
import type { CallOptions, RpcChannel, RpcStream } from './channel.ts';
import { MessageReader, withPrefix } from './grpc-frames.ts';
import { GrpcStatus } from './grpc-status.ts';
import { grpcStream } from './grpc-stream.ts';

/** HTTP/2's own default of 64 KiB halves the speed of large answers. */
const WINDOW_BYTES = 1024 * 1024;
/** The agent, which began to count a moment later, is to end the call by its deadline and not by our leaving. */
const GRACE_MS = 50;
/** grpc-timeout has at most eight digits. */
const MAX_TIMEOUT_MS = 99_999_999;

export class GrpcClient implements RpcChannel {
  readonly closed: Promise<void>;
  readonly #session: http2.ClientHttp2Session;
  #closedByUs = false;

  /** Takes the socket over. */
  constructor(socket: net.Socket) {
    // http2 takes the handle over but does not start it, and a socket made from an fd is not started yet.
    socket.read(0);
    this.#session = http2.connect('http://berth', {
      createConnection: () => socket,
      settings: { enablePush: false, initialWindowSize: WINDOW_BYTES },
    });
    this.#session.once('connect', () => this.#session.setLocalWindowSize(WINDOW_BYTES));
    // Each call that waits hears of the failure through its own stream.
    this.#session.on('error', () => {});
    this.#session.on('goaway', () => this.#session.close());
    this.closed = new Promise((resolve) => {
      this.#session.once('close', () => resolve());
    });
  }

  unary(service: string, method: string, request: Uint8Array, options: CallOptions = {}): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const fail = (code: Code, text: string, cause?: unknown) =>
        reject(new AgentError(code, `${method}: ${text}`, { cause, fields: { method } }));
      if (options.signal?.aborted) return fail('cancelled', 'cancelled', options.signal.reason);
      if (this.#session.closed || this.#session.destroyed) return fail(this.#lossCode(), 'the connection to the agent is closed');
      if (request.length > MAX_MESSAGE_BYTES) {
        return fail('resource_exhausted', `message length ${request.length} exceed maximum message size of ${MAX_MESSAGE_BYTES}`);
      }
      const stream = this.#session.request(requestHeaders(service, method, options));
      const answer = new Answer();
      let givenUp: { code: Code; text: string; cause?: unknown } | undefined;
      const giveUp = (code: Code, text: string, cause?: unknown) => {
        givenUp ??= { code, text, cause };
        stream.close(http2.constants.NGHTTP2_CANCEL);
      };
      const onAbort = () => giveUp('cancelled', 'cancelled', options.signal?.reason);
      const { timeoutMs } = options;
      const timer =
        timeoutMs === undefined
          ? undefined
          : setTimeout(() => giveUp('deadline_exceeded', `no answer within ${timeoutMs} ms`), timeoutMs + GRACE_MS);
      options.signal?.addEventListener('abort', onAbort, { once: true });
      stream.on('response', (headers) => answer.status.onHeaders(headers));
      stream.on('trailers', (headers) => answer.status.onHeaders(headers));
      stream.on('data', (chunk: Buffer) => {
        try {
          answer.onData(chunk);
        } catch (error) {
          giveUp(isAgentError(error) ? error.code : 'internal', describeError(error), error);
        }
      });
      stream.on('error', () => {}); // 'close' follows and settles the call
      stream.once('close', () => {
        clearTimeout(timer);
        options.signal?.removeEventListener('abort', onAbort);
        if (givenUp) return fail(givenUp.code, givenUp.text, givenUp.cause);
        const { received, whyNone } = answer.status;
        if (!received) return fail(this.#lossCode(), whyNone ?? 'the connection to the agent was lost');
        if (received.code !== 0) return reject(errorOf(received, method));
        const message = answer.message();
        if (!message) return fail('internal', 'malformed response');
        resolve(message);
      });
      stream.end(withPrefix(request));
    });
  }

  stream(service: string, method: string, options: CallOptions = {}): RpcStream {
    const lost = (text: string) => new AgentError(this.#lossCode(), `${method}: ${text}`, { fields: { method } });
    if (this.#session.closed || this.#session.destroyed) throw lost('the connection to the agent is closed');
    const stream = this.#session.request(requestHeaders(service, method, options));
    return grpcStream(stream, { method, signal: options.signal, lost });
  }

  close(): void {
    this.#closedByUs = true;
    this.#session.destroy();
  }

  #lossCode(): Code {
    return this.#closedByUs ? 'cancelled' : 'unavailable';
  }
}

/** Body and end of one response with one message. */
class Answer {
  readonly status = new GrpcStatus();
  readonly #reader = new MessageReader();
  #messages: Buffer[] = [];

  /** @throws {AgentError} */
  onData(chunk: Buffer): void {
    this.#messages.push(...this.#reader.push(chunk));
    if (this.#messages.length > 1) throw new AgentError('internal', 'malformed response: more than one message');
  }

  /** The message, or undefined unless there is exactly one, uncompressed and whole. */
  message(): Uint8Array | undefined {
    return this.#reader.empty ? this.#messages[0] : undefined;
  }
}

function requestHeaders(service: string, method: string, options: CallOptions): http2.OutgoingHttpHeaders {
  return {
    ...options.metadata,
    ':method': 'POST',
    ':path': `/${service}/${method}`,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...(options.timeoutMs === undefined ? {} : { 'grpc-timeout': `${Math.min(Math.ceil(options.timeoutMs), MAX_TIMEOUT_MS)}m` }),
  };
}
