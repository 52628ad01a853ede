// gRPC over a connected socket, on Node's http2 alone: grpc-js's client insists on dialling by itself, and costs twice as much a call.
// Unary only (gRPC over HTTP/2, "Requests" and "Responses").
import http2 from 'node:http2';
import type net from 'node:net';
import { AgentError, type Code } from '../../agent/errors.ts';
import { MAX_MESSAGE_BYTES } from '../../agent/rpc/limits.ts';
import { errorOf } from '../../agent/rpc/status.ts';
import type { CallOptions, RpcChannel } from './channel.ts';

/** Compressed flag and length. */
const PREFIX_BYTES = 5;
/** HTTP/2's own default of 64 KiB halves the speed of large answers. */
const WINDOW_BYTES = 1024 * 1024;
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
          : setTimeout(() => giveUp('deadline_exceeded', `no answer within ${timeoutMs} ms`), timeoutMs);
      options.signal?.addEventListener('abort', onAbort, { once: true });
      stream.on('response', (headers) => answer.onHeaders(headers));
      stream.on('trailers', (headers) => answer.onHeaders(headers));
      stream.on('data', (chunk: Buffer) => {
        if (!answer.onData(chunk)) giveUp('resource_exhausted', `the answer is larger than ${MAX_MESSAGE_BYTES}`);
      });
      stream.on('error', () => {}); // 'close' follows and settles the call
      stream.once('close', () => {
        clearTimeout(timer);
        options.signal?.removeEventListener('abort', onAbort);
        if (givenUp) return fail(givenUp.code, givenUp.text, givenUp.cause);
        const { status } = answer;
        if (!status) return fail(this.#lossCode(), answer.whyNone ?? 'the connection to the agent was lost');
        if (status.code !== 0) return reject(errorOf(status, method));
        const message = answer.message();
        if (!message) return fail('internal', 'malformed response');
        resolve(message);
      });
      stream.end(withPrefix(request));
    });
  }

  close(): void {
    this.#closedByUs = true;
    this.#session.destroy();
  }

  #lossCode(): Code {
    return this.#closedByUs ? 'cancelled' : 'unavailable';
  }
}

/** Headers, body and trailers of one response as they come in. */
class Answer {
  status: { code: number; message: string } | undefined;
  /** Set when what answered is not gRPC. */
  whyNone: string | undefined;
  readonly #chunks: Buffer[] = [];
  #bytes = 0;

  onHeaders(headers: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader): void {
    const http = headers[':status'];
    if (http !== undefined && http !== 200) this.whyNone = `answered with HTTP status ${http}`;
    const code = headers['grpc-status'];
    if (code === undefined) return;
    this.status = { code: Number(code), message: percentDecoded(String(headers['grpc-message'] ?? '')) };
  }

  onData(chunk: Buffer): boolean {
    this.#bytes += chunk.length;
    this.#chunks.push(chunk);
    return this.#bytes <= MAX_MESSAGE_BYTES + PREFIX_BYTES;
  }

  /** The message, or undefined unless there is exactly one, uncompressed and whole. */
  message(): Uint8Array | undefined {
    const body = Buffer.concat(this.#chunks);
    if (body.length < PREFIX_BYTES || body[0] !== 0 || body.readUInt32BE(1) !== body.length - PREFIX_BYTES) return undefined;
    return body.subarray(PREFIX_BYTES);
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

function withPrefix(message: Uint8Array): Buffer {
  const body = Buffer.allocUnsafe(PREFIX_BYTES + message.length);
  body[0] = 0;
  body.writeUInt32BE(message.length, 1);
  body.set(message, PREFIX_BYTES);
  return body;
}

function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
