// Which protocol a new connection speaks, told from its first bytes. They stay part of the stream: the caller of `sniff` gets them back.

export type WireProtocol = 'ttrpc' | 'grpc';

/** The start of the HTTP/2 connection preface (RFC 9113, 3.4); what follows it is nghttp2's to check. */
const HTTP2_PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

/**
 * - `ttrpc`: a zero byte, since a ttrpc length is below 2^24
 * - `grpc`: the whole HTTP/2 preface
 * - `more`: could still become gRPC
 * - `unknown`: neither
 */
export function protocolOf(head: Uint8Array): WireProtocol | 'more' | 'unknown' {
  if (head.length === 0) return 'more';
  if (head[0] === 0) return 'ttrpc';
  const seen = Math.min(head.length, HTTP2_PREFACE.length);
  if (HTTP2_PREFACE.compare(head, 0, seen, 0, seen) !== 0) return 'unknown';
  return seen === HTTP2_PREFACE.length ? 'grpc' : 'more';
}
