// One ttrpc client: frames in, handlers run side by side, answers out in whatever order they are ready. Nothing is awaited between two
// frames, so a handler that waits for hours holds up nobody. What the client can make us hold is bounded (limits.ts).
import type net from 'node:net';
import { AgentError, isAgentError } from '../../errors.ts';
import type { Logger } from '../../log.ts';
import { Call } from '../call.ts';
import { InFlight } from '../in-flight.ts';
import { invoke } from '../invoke.ts';
import { FRAME_STALL_TIMEOUT_MS, MAX_CALLS_PER_CONNECTION, MAX_MESSAGE_BYTES } from '../limits.ts';
import { type AnyUnaryMethod, type Caller, type CallObserver, type FinishedCall, NO_METADATA } from '../service.ts';
import { codeToNumber, statusOf } from '../status.ts';
import { decodeRequest, type RequestEnvelope } from './envelope.ts';
import { FLAG_REMOTE_CLOSED, FrameDecoder, MESSAGE_REQUEST } from './frame.ts';
import type { MethodIndex } from './method-index.ts';
import { ResponseWriter } from './writer.ts';

export interface TtrpcConnectionOptions {
  readonly methods: MethodIndex;
  readonly log: Logger;
  readonly onCall?: CallObserver | undefined;
}

/** What an observer is told of a call. */
type Begun = Pick<FinishedCall, 'method' | 'startedAt' | 'metadata'>;

/** A call that waits for its handler. */
interface Waiting extends Begun {
  readonly call: Call;
  readonly bytes: number;
  deadline: NodeJS.Timeout | undefined;
}

/** setTimeout fires at once for more (Node, timers). */
const LONGEST_TIMER_MS = 0x7fffffff;

export class TtrpcConnection {
  readonly #socket: net.Socket;
  readonly #caller: Caller;
  readonly #options: TtrpcConnectionOptions;
  readonly #writer: ResponseWriter;
  readonly #waiting = new Map<number, Waiting>();
  readonly #decoder: FrameDecoder;
  readonly #inFlight = new InFlight(MAX_CALLS_PER_CONNECTION);
  #stall: NodeJS.Timeout | undefined;
  #draining: (() => void) | undefined;

  /** `socket` gives its chunks to {@link receive}. */
  constructor(socket: net.Socket, caller: Caller, options: TtrpcConnectionOptions) {
    this.#socket = socket;
    this.#caller = caller;
    this.#options = options;
    this.#writer = new ResponseWriter(socket, () => {
      socket.resume();
      this.#watchStall();
    });
    this.#decoder = new FrameDecoder({
      onFrame: (streamId, type, flags, body) => this.#onFrame(streamId, type, flags, body),
      onOversize: (streamId, type, length) => this.#onOversize(streamId, type, length),
    });
    socket.on('end', () => this.#onGone());
    socket.on('close', () => this.#onGone());
  }

  /** Calls that wait for their answers. */
  get calls(): number {
    return this.#waiting.size;
  }

  /** Takes the next bytes; false asks the socket to stop reading until the client has taken its answers. */
  receive(chunk: Buffer): boolean {
    this.#writer.hold();
    try {
      this.#decoder.push(chunk);
    } catch (error) {
      this.#options.log.warn('connection closed: not ttrpc', { client: this.#caller.id, peer: this.#caller.peer, error });
      this.#socket.destroy();
      return false;
    } finally {
      this.#writer.flush();
    }
    this.#watchStall();
    return !this.#writer.congested;
  }

  /** Refuses what is new, lets what is running finish for `graceMs`, then ends the connection. */
  async drain(graceMs: number): Promise<void> {
    if (this.#waiting.size > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, graceMs);
        this.#draining = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.#writer.flush();
    this.#socket.destroySoon();
    this.#onGone();
  }

  #onFrame(streamId: number, type: number, flags: number, body: Buffer): void {
    // Data frames belong to streams, and we have opened none (PROTOCOL.md); unknown types are skipped the same way.
    if (type !== MESSAGE_REQUEST) return;
    let begun: Begun = { method: '', startedAt: this.#options.onCall ? performance.now() : 0, metadata: NO_METADATA };
    try {
      this.#checkStream(streamId);
      const request = decodeEnvelope(body);
      begun = { ...begun, method: `/${request.service}/${request.method}`, metadata: request.metadata };
      const method = this.#options.methods.find(request.service, request.method);
      if ((flags & ~FLAG_REMOTE_CLOSED) !== 0)
        throw new AgentError('unimplemented', `${request.method}: streams are not supported`);
      this.#run(streamId, method, request, begun, body.length);
    } catch (error) {
      this.#fail(streamId, begun, error);
    }
  }

  #run(streamId: number, method: AnyUnaryMethod, request: RequestEnvelope, begun: Begun, bytes: number): void {
    this.#inFlight.check(method, bytes);
    const call = new Call(this.#caller, request.metadata);
    const result = invoke(method, request.payload, call);
    if (result instanceof Uint8Array) {
      this.#succeed(streamId, begun, result, call);
      return;
    }
    const waiting: Waiting = { ...begun, call, bytes, deadline: this.#deadline(streamId, request.timeoutNano) };
    this.#waiting.set(streamId, waiting);
    this.#inFlight.begin(bytes);
    result.then(
      (payload) => {
        if (this.#finish(streamId, waiting)) this.#succeed(streamId, waiting, payload, call);
        else call.unanswered();
      },
      (error: unknown) => {
        call.unanswered();
        if (this.#finish(streamId, waiting)) this.#fail(streamId, waiting, error);
        else this.#options.log.debug('call ended after its client', { method: waiting.method, error });
      },
    );
  }

  #checkStream(streamId: number): void {
    if (streamId % 2 === 0) throw new AgentError('invalid_argument', 'stream id must be odd', { fields: { stream: streamId } });
    if (this.#waiting.has(streamId)) {
      throw new AgentError('invalid_argument', `stream id ${streamId} is in use`, { fields: { stream: streamId } });
    }
    if (this.#draining) throw new AgentError('unavailable', 'the agent is stopping');
  }

  #deadline(streamId: number, timeoutNano: bigint): NodeJS.Timeout | undefined {
    if (timeoutNano <= 0n) return undefined;
    const timeoutMs = Math.min(Math.ceil(Number(timeoutNano) / 1e6), LONGEST_TIMER_MS);
    return setTimeout(() => {
      const waiting = this.#waiting.get(streamId)!;
      const error = new AgentError('deadline_exceeded', 'timeout', { fields: { method: waiting.method, timeoutMs } });
      this.#finish(streamId, waiting);
      this.#fail(streamId, waiting, error);
      waiting.call.abort(error);
    }, timeoutMs);
  }

  /** Ends the waiting; false when nobody was waiting any more. */
  #finish(streamId: number, waiting: Waiting): boolean {
    if (this.#waiting.get(streamId) !== waiting) return false;
    this.#waiting.delete(streamId);
    this.#inFlight.end(waiting.bytes);
    clearTimeout(waiting.deadline);
    if (this.#waiting.size === 0) this.#draining?.();
    return true;
  }

  #succeed(streamId: number, begun: Begun, payload: Uint8Array, call: Call): void {
    const onSent = call.takeAnswered();
    try {
      this.#writer.success(streamId, payload, onSent);
    } catch (error) {
      onSent?.(false);
      this.#fail(streamId, begun, error);
      return;
    }
    this.#tell(begun);
  }

  #fail(streamId: number, begun: Begun, error: unknown): void {
    const status = statusOf(error, begun.method, this.#options.log);
    this.#writer.failure(streamId, status);
    const told = isAgentError(error) ? error : new AgentError('internal', status.message, { cause: error });
    this.#tell(begun, told);
  }

  #tell({ method, startedAt, metadata }: Begun, error?: AgentError): void {
    this.#options.onCall?.({ method, startedAt, metadata, caller: this.#caller, error });
  }

  /** The Rust server's code and text; the Go one says RESOURCE_EXHAUSTED. Both skip the body and keep the connection. */
  #onOversize(streamId: number, type: number, length: number): void {
    if (type !== MESSAGE_REQUEST) return;
    const message = `message length ${length} exceed maximum message size of ${MAX_MESSAGE_BYTES}`;
    this.#writer.failure(streamId, { code: codeToNumber('invalid_argument'), message });
  }

  #watchStall(): void {
    clearTimeout(this.#stall);
    this.#stall = undefined;
    if (!this.#decoder.midFrame || this.#writer.congested) return;
    this.#stall = setTimeout(() => {
      this.#options.log.warn('connection closed: it stopped inside a frame', {
        client: this.#caller.id,
        peer: this.#caller.peer,
      });
      this.#socket.destroy();
    }, FRAME_STALL_TIMEOUT_MS);
  }

  /** The client has gone, or closed its side, which in ttrpc is the same: handlers learn of it. */
  #onGone(): void {
    clearTimeout(this.#stall);
    const reason = new AgentError('cancelled', 'the client closed the connection', { fields: { client: this.#caller.id } });
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { call, deadline } of waiting) {
      clearTimeout(deadline);
      call.abort(reason);
    }
    this.#draining?.();
    this.#socket.end();
  }
}

function decodeEnvelope(body: Buffer): RequestEnvelope {
  try {
    return decodeRequest(body);
  } catch (error) {
    throw new AgentError('invalid_argument', `malformed ttrpc request: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    });
  }
}
