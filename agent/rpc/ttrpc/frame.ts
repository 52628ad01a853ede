// ttrpc frames (github.com/containerd/ttrpc, PROTOCOL.md, "Message Frame"): a ten-byte header and a body.
// Pure: bytes in, frames out, whatever way the stream was cut; no socket, no clock.
import { AgentError } from '../../errors.ts';
import { MAX_MESSAGE_BYTES } from '../limits.ts';

export const HEADER_BYTES = 10;

export const MESSAGE_REQUEST = 1;
export const MESSAGE_RESPONSE = 2;

/** On a request: no data frames will follow. Harmless on a unary call. */
export const FLAG_REMOTE_CLOSED = 1;

/** Who gets the frames. `body` is the receiver's own when the decoder copies, else a view of the chunk. */
export interface FrameReceiver {
  onFrame(streamId: number, type: number, flags: number, body: Buffer): void;
  /** A frame too large to be taken; its body is skipped, and the frames after it are read as usual. */
  onOversize(streamId: number, type: number, length: number): void;
}

export interface FrameDecoderOptions {
  /** Copy bodies out of the chunk; needed where the reader uses one buffer again and again. Default true. */
  copy?: boolean;
}

export class FrameDecoder {
  readonly #receiver: FrameReceiver;
  readonly #copy: boolean;
  readonly #header = Buffer.alloc(HEADER_BYTES);
  #headerFilled = 0;
  #body: Buffer | undefined;
  #bodyFilled = 0;
  #skip = 0;

  constructor(receiver: FrameReceiver, options: FrameDecoderOptions = {}) {
    this.#receiver = receiver;
    this.#copy = options.copy ?? true;
  }

  /** Whether the stream stopped inside a frame. */
  get midFrame(): boolean {
    return this.#headerFilled > 0 || this.#skip > 0;
  }

  /**
   * Takes the next bytes of the stream and hands on every frame that they complete.
   * @throws {AgentError} invalid_argument when the bytes can't be ttrpc; the connection is of no use any more
   */
  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#skip > 0) {
        const skipped = Math.min(this.#skip, chunk.length - at);
        this.#skip -= skipped;
        at += skipped;
      } else if (this.#headerFilled === 0 && chunk.length - at >= HEADER_BYTES) {
        at = this.#wholeHeader(chunk, at);
      } else if (this.#headerFilled < HEADER_BYTES) {
        at = this.#partOfHeader(chunk, at);
      } else {
        at = this.#partOfBody(chunk, at);
      }
    }
  }

  /** The common case: header and, mostly, body lie in one chunk. */
  #wholeHeader(chunk: Buffer, at: number): number {
    const length = chunk.readUInt32BE(at);
    const body = at + HEADER_BYTES;
    if (length <= MAX_MESSAGE_BYTES && chunk.length - body >= length) {
      const view = chunk.subarray(body, body + length);
      this.#receiver.onFrame(chunk.readUInt32BE(at + 4), chunk[at + 8]!, chunk[at + 9]!, this.#copy ? Buffer.from(view) : view);
      return body + length;
    }
    chunk.copy(this.#header, 0, at, body);
    this.#headerFilled = HEADER_BYTES;
    this.#beginBody();
    return body;
  }

  #partOfHeader(chunk: Buffer, at: number): number {
    const copied = chunk.copy(this.#header, this.#headerFilled, at);
    this.#headerFilled += copied;
    refuseForeign(this.#header[0]!);
    if (this.#headerFilled === HEADER_BYTES) this.#beginBody();
    return at + copied;
  }

  #partOfBody(chunk: Buffer, at: number): number {
    const copied = chunk.copy(this.#body!, this.#bodyFilled, at);
    this.#bodyFilled += copied;
    if (this.#bodyFilled === this.#body!.length) this.#endBody();
    return at + copied;
  }

  #beginBody(): void {
    refuseForeign(this.#header[0]!);
    const length = this.#header.readUInt32BE(0);
    if (length > MAX_MESSAGE_BYTES) {
      this.#headerFilled = 0;
      this.#skip = length;
      this.#receiver.onOversize(this.#header.readUInt32BE(4), this.#header[8]!, length);
      return;
    }
    // Fresh pages cost nothing until they are written, so a client that only claims a size makes us pay nothing.
    this.#body = Buffer.allocUnsafe(length);
    this.#bodyFilled = 0;
    if (length === 0) this.#endBody();
  }

  #endBody(): void {
    const body = this.#body!;
    this.#body = undefined;
    this.#headerFilled = 0;
    this.#receiver.onFrame(this.#header.readUInt32BE(4), this.#header[8]!, this.#header[9]!, body);
  }
}

/** A length of 16 MiB or more is no oversized message but another protocol, or a broken peer. */
function refuseForeign(firstByte: number): void {
  if (firstByte !== 0) throw new AgentError('invalid_argument', 'not a ttrpc frame: its length is 16 MiB or more');
}

/** Writes a header at the start of `target`. */
export function writeHeader(target: Buffer, length: number, streamId: number, type: number, flags = 0): void {
  target.writeUInt32BE(length, 0);
  target.writeUInt32BE(streamId, 4);
  target[8] = type;
  target[9] = flags;
}
