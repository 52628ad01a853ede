// What both protocols do with a call: decode, handle, encode, and say what went wrong in the same words.
import { AgentError } from '../errors.ts';
import { MAX_MESSAGE_BYTES } from './limits.ts';
import type { AnyUnaryMethod, CallContext, Decoder, Encoder } from './service.ts';

/**
 * Runs a unary method on an encoded request. Synchronous as far as its handler is.
 * @throws {AgentError} or whatever the handler throws
 */
export function invoke(method: AnyUnaryMethod, payload: Uint8Array, call: CallContext): Uint8Array | Promise<Uint8Array> {
  const request = decodeMessage(method.name, method.request, payload);
  const response: unknown = method.handle(request, call);
  if (isPromise(response)) return response.then((message) => encodeMessage(method.name, method.response, message));
  return encodeMessage(method.name, method.response, response);
}

/** @throws {AgentError} invalid_argument */
export function decodeMessage<T>(method: string, decoder: Decoder<T>, payload: Uint8Array): T {
  try {
    return decoder.decode(payload);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new AgentError('invalid_argument', `${method}: malformed request: ${reason}`, { cause: error, fields: { method } });
  }
}

/** @throws {AgentError} resource_exhausted when the message is larger than a client may be sent */
export function encodeMessage<T>(method: string, encoder: Encoder<T>, message: T): Uint8Array {
  const bytes = encoder.encode(message).finish();
  if (bytes.length > MAX_MESSAGE_BYTES) throw tooLarge(method, bytes.length);
  return bytes;
}

/** As {@link encodeMessage}, behind `headroom` bytes for the caller to fill. */
export function frameMessage<T>(method: string, encoder: Encoder<T>, message: T, headroom: number): Uint8Array {
  const framed = encoder.frame?.(message, headroom) ?? withHeadroom(encodeMessage(method, encoder, message), headroom);
  if (framed.length - headroom > MAX_MESSAGE_BYTES) throw tooLarge(method, framed.length - headroom);
  return framed;
}

function withHeadroom(bytes: Uint8Array, headroom: number): Uint8Array {
  const framed = Buffer.allocUnsafe(headroom + bytes.length);
  framed.set(bytes, headroom);
  return framed;
}

export function tooLarge(method: string, length: number): AgentError {
  const text = `${method}: response of ${length} bytes exceed maximum message size of ${MAX_MESSAGE_BYTES}`;
  return new AgentError('resource_exhausted', text, { fields: { method, length, limit: MAX_MESSAGE_BYTES } });
}

function isPromise(value: unknown): value is Promise<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';
}
