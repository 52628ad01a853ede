// How a gRPC call ended, as its headers and trailers tell (gRPC over HTTP/2, "Responses").
import type http2 from 'node:http2';
import type { Status } from '../../agent/rpc/status.ts';

const TOLD = 'berth-';

export class GrpcStatus {
  received: Status | undefined;
  /** Set when what answered is not gRPC. */
  whyNone: string | undefined;

  onHeaders(headers: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader): void {
    const http = headers[':status'];
    if (http !== undefined && http !== 200) this.whyNone = `answered with HTTP status ${http}`;
    const code = headers['grpc-status'];
    if (code === undefined) return;
    const trailers = Object.fromEntries(
      Object.entries(headers).flatMap(([name, value]) => (name.startsWith(TOLD) ? [[name, String(value)]] : [])),
    );
    this.received = { code: Number(code), message: percentDecoded(String(headers['grpc-message'] ?? '')), trailers };
  }
}

function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
