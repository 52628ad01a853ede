// A connection to something that listens in a guest or a container, as an ordinary stream of Node's: each side ends when it likes.
import { Duplex } from 'node:stream';
import type { berth } from '#proto/berth.js';
import { AgentError, isAgentError } from '../../agent/errors.ts';
import type { TypedStream } from '../rpc/typed.ts';
import type { Link } from './link.ts';
import { TUNNELS } from './methods.ts';

/** Something that listens, as the guest or the container sees it. */
export type TunnelTarget =
  /** `host` is an IP address; 127.0.0.1 unless told. */
  | { readonly port: number; readonly host?: string }
  /** An absolute path, or '@' and the name of an abstract socket. */
  | { readonly unix: string };

/** How a tunnel is opened. */
export interface TunnelOptions {
  /** To be connected. Default 10 000, at most 60 000. */
  readonly timeoutMs?: number;
  /** Ends it, whether it is connected yet or not. */
  readonly signal?: AbortSignal;
}

/** It could not be connected, or it broke. The code is `unavailable`. */
export class TunnelError extends AgentError {
  /** As the guest's kernel names it: ECONNREFUSED, ENOENT, ETIMEDOUT, ECONNRESET, ... */
  readonly errno: string;

  constructor(errno: string, message: string, cause?: unknown) {
    super('unavailable', message, { cause, fields: { errno } });
    this.errno = errno;
  }
}

/** Bytes that may be on their way or wait here for their reader. */
const WINDOW_BYTES = 1024 * 1024;
/** Credit goes out when so much has been read since. */
const REPORT_BYTES = WINDOW_BYTES / 4;
const MAX_MESSAGE_BYTES = 64 * 1024;

type Call = TypedStream<berth.v1.TunnelRequest.$Properties, berth.v1.TunnelResponse>;
type Messages = AsyncIterator<berth.v1.TunnelResponse>;

interface Unsent {
  data: Buffer;
  readonly done: (error?: Error | null) => void;
}

/** @throws TunnelError when nothing answers there; AgentError not_found, failed_precondition, resource_exhausted, ... */
export async function openTunnel(
  link: Link,
  containerId: string,
  to: TunnelTarget,
  options: TunnelOptions = {},
): Promise<Tunnel> {
  const { signal, timeoutMs } = options;
  const call: Call = await link.stream(TUNNELS.open, signal === undefined ? {} : { signal });
  const address = 'unix' in to ? { unix: { path: to.unix } } : { tcp: { port: to.port, host: to.host ?? '' } };
  const target = { ...address, containerId, credit: WINDOW_BYTES, ...(timeoutMs === undefined ? {} : { timeoutMs }) };
  try {
    await call.send({ target });
    const messages = call[Symbol.asyncIterator]();
    const first = await messages.next();
    if (first.done || !first.value.connected) throw new AgentError('internal', 'the agent did not say that it is connected');
    return new Tunnel(call, messages, first.value.connected.credit ?? 0);
  } catch (error) {
    call.cancel();
    const errno = isAgentError(error) ? error.fields['berth-errno'] : undefined;
    throw typeof errno === 'string' ? new TunnelError(errno, (error as Error).message, error) : error;
  }
}

/**
 * `end` ends what is written and leaves reading open. What has been received is read before an error is told. 'close' after both ends comes
 * when the guest's kernel has taken all that was written.
 */
export class Tunnel extends Duplex {
  readonly #call: Call;
  /** Resolves when the call is over, however. */
  readonly #over: Promise<void>;
  readonly #chunks: Buffer[] = [];
  #credit: number;
  #unsent: Unsent | undefined;
  #wanted = false;
  #unreported = 0;
  /** What follows the chunks. */
  #last: 'more' | 'end' | 'told' = 'more';
  #failure: Error | undefined;

  constructor(call: Call, messages: Messages, credit: number) {
    super({ allowHalfOpen: true });
    this.#call = call;
    this.#credit = credit;
    this.#over = this.#receive(messages).catch((error: unknown) => this.#fail(error as Error));
  }

  override _read(): void {
    this.#wanted = true;
    this.#give();
  }

  /** @returns what Duplex does */
  override read(size?: number): Buffer | null {
    const data: Buffer | null = super.read(size);
    if (this.#failure !== undefined) process.nextTick(() => this.#tellFailure());
    return data;
  }

  override _write(data: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#unsent = { data, done };
    this.#send();
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#call.send({ end: true }).then(
      () => done(),
      (error: Error) => done(this.#failure ?? error),
    );
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (error === null && this.readableEnded && this.writableFinished) {
      // The agent ends the call when all is written; a call that was cancelled would take what is on its way with it.
      void this.#over.then(() => done(this.#failure));
      return;
    }
    this.#call.cancel();
    done(error);
  }

  async #receive(messages: Messages): Promise<void> {
    for (let next = await messages.next(); !next.done; next = await messages.next()) {
      const { data, end, reset, credit, message } = next.value;
      if (message === 'data') this.#chunks.push(Buffer.from(data!.buffer, data!.byteOffset, data!.length));
      if (end) this.#last = 'end';
      if (reset) this.#fail(new TunnelError(reset, `the connection broke: ${reset}`));
      if (credit) this.#credit += credit;
      if (credit) this.#send();
      else this.#give();
    }
    if (this.#last === 'more') this.#fail(new AgentError('internal', 'the agent ended the tunnel without a word'));
  }

  #give(): void {
    while (this.#wanted && this.#last !== 'told') {
      const chunk = this.#chunks.shift();
      if (chunk === undefined) break;
      this.#unreported += chunk.length;
      this.#wanted = this.push(chunk);
    }
    if (this.#unreported >= REPORT_BYTES && this.#last === 'more') {
      this.#call.send({ credit: this.#unreported }).catch(() => {});
      this.#unreported = 0;
    }
    if (this.#chunks.length > 0) return;
    if (this.#last === 'end') {
      this.#last = 'told';
      this.push(null);
    }
    this.#tellFailure();
  }

  /** What has been received is read first, whether it waits here or in Node's own buffer. */
  #tellFailure(): void {
    if (this.#failure !== undefined && this.#chunks.length === 0 && this.readableLength === 0) this.destroy(this.#failure);
  }

  #send(): void {
    while (this.#unsent !== undefined) {
      const { data, done } = this.#unsent;
      const failed = this.#failure;
      if (failed !== undefined || data.length === 0) {
        this.#unsent = undefined;
        done(failed);
        return;
      }
      const length = Math.min(data.length, this.#credit, MAX_MESSAGE_BYTES);
      if (length === 0) return;
      this.#credit -= length;
      this.#unsent.data = data.subarray(length);
      this.#call.send({ data: data.subarray(0, length) }).catch(() => {});
    }
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    if (this.destroyed) return;
    this.#give();
    // A writer that waits for room is to know; one that reads as well learns it when it has read what is there.
    if (this.#chunks.length === 0) this.#send();
  }
}
