// One tunnel: a socket in the guest and the client it is for. Credit both ways, turns for what goes out, each direction with its own end.
// INVARIANTS: no byte is taken from the socket that the client has not given credit for and has not had a turn for; of what the client sends
// at most the window waits here; a break is told after everything that could be read before it.
import { AgentError, errnoOf } from '../errors.ts';
import { GuestSocket } from '../guest/tunnel/guest-socket.ts';
import type { Turns } from '../process/stream/turns.ts';
import { unlessAborted } from '../unless-aborted.ts';

/** The most in one message; as of an attached output. */
const CHUNK_BYTES = 64 * 1024;
/** For what a protocol puts in front of the bytes. */
const HEADROOM_BYTES = 32;
/** Credit beyond this is counted as this. */
const MAX_CREDIT = 64 * 1024 * 1024;

export type TunnelEvent =
  /** `credit`: what the client may send before it is given more. */
  | { readonly kind: 'connected'; readonly credit: number }
  | { readonly kind: 'data'; readonly data: Buffer; readonly headroom: number }
  | { readonly kind: 'end' }
  | { readonly kind: 'reset'; readonly errno: string }
  | { readonly kind: 'credit'; readonly bytes: number };

export interface TunnelHost {
  readonly turns: Turns;
  /** Of the client, for its turns. */
  readonly clientId: string;
  readonly signal: AbortSignal;
  /** Resolves once it is out of the agent's memory. */
  send(event: TunnelEvent): Promise<void>;
}

export interface TunnelOptions {
  /** Bytes that may be sent to the client. */
  readonly credit: number;
  /** Bytes of the client that may wait for the listener. */
  readonly windowBytes: number;
  /** When nothing of it is left. */
  readonly onClosed: () => void;
}

export class Tunnel {
  readonly #host: TunnelHost;
  readonly #socket: GuestSocket;
  readonly #windowBytes: number;
  readonly #onClosed: () => void;
  readonly #done = Promise.withResolvers<void>();
  #credit: number;
  /** What the client may still send. */
  #allowed: number;
  /** Written, and not given back as credit yet. */
  #unreported = 0;
  #reporting = false;
  #clientEnded = false;
  #readEnded = false;
  #writesEnded = false;
  /** Why the listener takes no more. */
  #broken: string | undefined;
  #closed = false;
  #wake: (() => void) | undefined;

  /** Owns the descriptor from here on. */
  constructor(fd: number, { credit, windowBytes, onClosed }: TunnelOptions, host: TunnelHost) {
    this.#host = host;
    this.#credit = Math.min(credit, MAX_CREDIT);
    this.#windowBytes = windowBytes;
    this.#allowed = windowBytes;
    this.#onClosed = onClosed;
    this.#socket = new GuestSocket(fd, {
      written: (bytes) => this.#onWritten(bytes),
      writesEnded: (errno) => this.#onWritesEnded(errno),
    });
  }

  /** Resolves when both directions have ended, or the break has been told. @throws the signal's reason */
  async run(): Promise<void> {
    const { signal } = this.#host;
    try {
      this.#tell({ kind: 'connected', credit: this.#windowBytes });
      this.#readAll().catch((error: unknown) => this.#done.reject(error));
      await unlessAborted(this.#done.promise, signal);
    } finally {
      this.close();
    }
  }

  get clientEnded(): boolean {
    return this.#clientEnded;
  }

  /** The client may be sent so much more. */
  credit(bytes: number): void {
    this.#credit = Math.min(this.#credit + bytes, MAX_CREDIT);
    this.#notify();
  }

  /** @throws resource_exhausted over the window; invalid_argument after the end */
  write(data: Buffer): void {
    if (this.#clientEnded) throw new AgentError('invalid_argument', 'data after the end', { fields: { field: 'data' } });
    if (data.length > this.#allowed) {
      throw new AgentError('resource_exhausted', `more than ${this.#windowBytes} bytes wait on this tunnel`, {
        fields: { limit: 'tunnel-window', bound: this.#windowBytes },
      });
    }
    this.#allowed -= data.length;
    this.#socket.write(data);
  }

  /** The client sends no more. Idempotent. */
  end(): void {
    this.#clientEnded = true;
    this.#socket.end();
  }

  /** What it led to sees a reset, unless both directions had ended. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close({ reset: !(this.#readEnded && this.#writesEnded && this.#broken === undefined) });
    this.#notify();
    this.#onClosed();
  }

  async #readAll(): Promise<void> {
    while (!this.#closed && !this.#readEnded) {
      if (this.#credit === 0) await this.#notified();
      else {
        await this.#socket.readable();
        if (!this.#closed) await this.#readPiece();
      }
    }
  }

  async #readPiece(): Promise<void> {
    const { turns, clientId, signal } = this.#host;
    const turn = await turns.turn(clientId, this, Math.min(this.#credit, CHUNK_BYTES), signal);
    let data: Buffer | 'end' | undefined;
    try {
      data = this.#closed ? undefined : this.#socket.read(turn.bytes, HEADROOM_BYTES);
    } catch (error) {
      turn.take(0);
      return this.#onBroken(errnoOf(error) ?? 'EIO');
    }
    if (data === undefined || data === 'end') turn.take(0);
    else {
      this.#credit -= data.length;
      turn.take(data.length);
      this.#host.send({ kind: 'data', data, headroom: HEADROOM_BYTES }).then(turn.done, turn.done);
    }
    if (data === 'end') this.#onReadEnded();
  }

  #onReadEnded(): void {
    this.#readEnded = true;
    if (this.#broken === undefined) {
      this.#tell({ kind: 'end' });
      this.#finishIfOver();
    } else this.#onBroken(this.#broken);
  }

  #onWritten(bytes: number): void {
    this.#unreported += bytes;
    // Less is not worth a message, and cannot leave the client without credit.
    if (this.#unreported >= this.#windowBytes / 4) this.#reportWritten();
  }

  /** One at a time: who does not take them does not make them gather here. */
  #reportWritten(): void {
    if (this.#reporting || this.#closed || this.#unreported === 0) return;
    const bytes = this.#unreported;
    this.#unreported = 0;
    this.#allowed += bytes;
    this.#reporting = true;
    const told = () => {
      this.#reporting = false;
      if (this.#unreported >= this.#windowBytes / 4) this.#reportWritten();
    };
    this.#host.send({ kind: 'credit', bytes }).then(told, () => {});
  }

  #onWritesEnded(errno: string | undefined): void {
    this.#writesEnded = true;
    this.#broken = errno;
    if (errno !== undefined && this.#readEnded) this.#onBroken(errno);
    else this.#finishIfOver();
  }

  #onBroken(errno: string): void {
    this.#broken = errno;
    this.#readEnded = true;
    // The last thing: the call ends when it has been handed over.
    this.#host.send({ kind: 'reset', errno }).then(this.#done.resolve, this.#done.reject);
  }

  #finishIfOver(): void {
    if (this.#readEnded && this.#writesEnded) this.#done.resolve();
  }

  #tell(event: TunnelEvent): void {
    this.#host.send(event).catch(() => {});
  }

  #notified(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #notify(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}
