// ttrpc over a connected socket. Replies come in any order and are told apart by stream id.
import type net from 'node:net';
import { AgentError, fromErrno } from '../../agent/errors.ts';
import { MAX_CALLS_PER_CONNECTION, MAX_MESSAGE_BYTES } from '../../agent/rpc/limits.ts';
import { errorOf } from '../../agent/rpc/status.ts';
import { decodeResponse, requestPrefix } from '../../agent/rpc/ttrpc/envelope.ts';
import { FrameDecoder, MESSAGE_RESPONSE } from '../../agent/rpc/ttrpc/frame.ts';
import type { CallOptions, RpcChannel } from './channel.ts';

interface Waiting {
  method: string;
  resolve(payload: Uint8Array): void;
  reject(error: AgentError): void;
}

const LAST_STREAM_ID = 0xffffffff;

export class TtrpcClient implements RpcChannel {
  readonly closed: Promise<void>;
  readonly #socket: net.Socket;
  readonly #waiting = new Map<number, Waiting>();
  readonly #decoder: FrameDecoder;
  /** Clients use odd ids, upwards (PROTOCOL.md, "Stream ID"). */
  #nextStreamId = 1;
  #gone: AgentError | undefined;

  /** Takes the socket over. */
  constructor(socket: net.Socket) {
    this.#socket = socket;
    this.#decoder = new FrameDecoder(
      {
        onFrame: (streamId, type, _flags, body) => this.#onFrame(streamId, type, body),
        onOversize: (streamId, _type, length) => this.#onOversize(streamId, length),
      },
      { copy: false },
    );
    this.closed = new Promise((resolve) => {
      socket.once('close', () => resolve());
    });
    socket.on('data', (chunk) => this.#onData(chunk as Buffer));
    socket.on('end', () => this.#fail(new AgentError('unavailable', 'the agent closed the connection')));
    socket.on('error', (error) => this.#fail(fromErrno(error, 'the connection to the agent failed')));
    socket.on('close', () => this.#fail(new AgentError('unavailable', 'the connection to the agent is closed')));
  }

  unary(service: string, method: string, request: Uint8Array, options: CallOptions = {}): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const refused = this.#refusal(method, request, options.signal);
      if (refused) {
        reject(refused);
        return;
      }
      const streamId = this.#nextStreamId;
      this.#nextStreamId += 2;
      const { signal, timeoutMs } = options;
      const giveUp = (error: AgentError) => {
        this.#waiting.delete(streamId);
        settled();
        reject(error);
      };
      const onAbort = () =>
        giveUp(new AgentError('cancelled', `${method}: cancelled`, { cause: signal?.reason, fields: { method } }));
      const timer =
        timeoutMs === undefined
          ? undefined
          : setTimeout(
              () =>
                giveUp(
                  new AgentError('deadline_exceeded', `${method}: no answer within ${timeoutMs} ms`, { fields: { method } }),
                ),
              timeoutMs,
            );
      const settled = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiting.set(streamId, {
        method,
        resolve: (payload) => {
          settled();
          resolve(payload);
        },
        reject: (error) => {
          settled();
          reject(error);
        },
      });
      this.#send(streamId, service, method, request, options);
    });
  }

  stream(service: string, method: string): never {
    throw new AgentError('unimplemented', `${method}: ttrpc carries no streams; connect with gRPC`, {
      fields: { service, method },
    });
  }

  close(): void {
    this.#fail(new AgentError('cancelled', 'the client closed the connection'));
  }

  #send(streamId: number, service: string, method: string, payload: Uint8Array, options: CallOptions): void {
    const timeoutNano = BigInt(Math.ceil((options.timeoutMs ?? 0) * 1e6));
    const metadata = new Map(Object.entries(options.metadata ?? {}));
    this.#socket.cork();
    this.#socket.write(requestPrefix(streamId, { service, method, timeoutNano, metadata }, payload.length));
    if (payload.length > 0) this.#socket.write(payload);
    this.#socket.uncork();
  }

  #refusal(method: string, request: Uint8Array, signal: AbortSignal | undefined): AgentError | undefined {
    const fields = { method };
    if (this.#gone) return new AgentError(this.#gone.code, `${method}: ${this.#gone.message}`, { cause: this.#gone, fields });
    if (signal?.aborted) return new AgentError('cancelled', `${method}: cancelled`, { cause: signal.reason, fields });
    if (this.#nextStreamId > LAST_STREAM_ID)
      return new AgentError('unavailable', `${method}: the connection has used up its stream ids`, { fields });
    if (request.length > MAX_MESSAGE_BYTES) {
      return new AgentError(
        'resource_exhausted',
        `${method}: message length ${request.length} exceed maximum message size of ${MAX_MESSAGE_BYTES}`,
        { fields },
      );
    }
    if (this.#waiting.size >= MAX_CALLS_PER_CONNECTION) {
      return new AgentError(
        'resource_exhausted',
        `${method}: ${MAX_CALLS_PER_CONNECTION} calls wait on this connection already`,
        { fields },
      );
    }
    return undefined;
  }

  #onData(chunk: Buffer): void {
    try {
      this.#decoder.push(chunk);
    } catch (error) {
      this.#fail(new AgentError('unavailable', 'the agent does not speak ttrpc', { cause: error }));
    }
  }

  #onFrame(streamId: number, type: number, body: Buffer): void {
    const waiting = this.#waiting.get(streamId);
    // An answer that nobody waits for any more is normal: a call was given up.
    if (!waiting || type !== MESSAGE_RESPONSE) return;
    this.#waiting.delete(streamId);
    try {
      const { status, payload } = decodeResponse(body);
      if (status) waiting.reject(errorOf(status, waiting.method));
      else waiting.resolve(payload);
    } catch (error) {
      waiting.reject(
        new AgentError('internal', `${waiting.method}: malformed response`, { cause: error, fields: { method: waiting.method } }),
      );
    }
  }

  #onOversize(streamId: number, length: number): void {
    const waiting = this.#waiting.get(streamId);
    this.#waiting.delete(streamId);
    waiting?.reject(
      new AgentError(
        'resource_exhausted',
        `${waiting.method}: the answer of ${length} bytes is larger than ${MAX_MESSAGE_BYTES}`,
        {
          fields: { method: waiting.method },
        },
      ),
    );
  }

  #fail(error: AgentError): void {
    if (this.#gone) return;
    this.#gone = error;
    this.#socket.destroy();
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const call of waiting) {
      call.reject(
        new AgentError(error.code, `${call.method}: ${error.message}`, { cause: error, fields: { method: call.method } }),
      );
    }
  }
}
