// gRPC's length-prefixed messages over HTTP/2 (gRPC over HTTP/2, "Length-Prefixed-Message"): a byte for compression, four of length, the message.
import { AgentError } from '../../agent/errors.ts';
import { MAX_MESSAGE_BYTES } from '../../agent/rpc/limits.ts';

/** Compressed flag and length. */
export const PREFIX_BYTES = 5;

export function withPrefix(message: Uint8Array): Buffer {
  const body = Buffer.allocUnsafe(PREFIX_BYTES + message.length);
  body[0] = 0;
  body.writeUInt32BE(message.length, 1);
  body.set(message, PREFIX_BYTES);
  return body;
}

/** Cuts what comes in into messages; holds at most one that is not whole. */
export class MessageReader {
  #chunks: Buffer[] = [];
  #held = 0;
  /** Of the message under way, prefix included; undefined while its prefix is not whole. */
  #wanted: number | undefined;

  /** Whether it stands between two messages. */
  get empty(): boolean {
    return this.#held === 0;
  }

  /** The messages that are whole now, in order. @throws {AgentError} internal, resource_exhausted */
  push(chunk: Buffer): Buffer[] {
    const messages: Buffer[] = [];
    this.#chunks.push(chunk);
    this.#held += chunk.length;
    for (;;) {
      this.#wanted ??= this.#readPrefix();
      if (this.#wanted === undefined || this.#held < this.#wanted) return messages;
      messages.push(this.#take(this.#wanted).subarray(PREFIX_BYTES));
      this.#wanted = undefined;
    }
  }

  #readPrefix(): number | undefined {
    if (this.#held < PREFIX_BYTES) return undefined;
    if (this.#chunks[0]!.length < PREFIX_BYTES) this.#chunks = [Buffer.concat(this.#chunks)];
    const [first] = this.#chunks;
    if (first![0] !== 0) throw new AgentError('internal', 'malformed response: a compressed message');
    const length = first!.readUInt32BE(1);
    if (length > MAX_MESSAGE_BYTES) {
      throw new AgentError('resource_exhausted', `a message of ${length} bytes, more than ${MAX_MESSAGE_BYTES}`);
    }
    return PREFIX_BYTES + length;
  }

  #take(bytes: number): Buffer {
    const whole = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
    const rest = whole.subarray(bytes);
    this.#chunks = rest.length > 0 ? [rest] : [];
    this.#held = rest.length;
    return whole.subarray(0, bytes);
  }
}
