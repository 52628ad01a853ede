// What every transport gives to what runs on top: a connected socket and who is at the other end.
import type net from 'node:net';
import type { ListenEndpoint } from './endpoint.ts';

export interface Connection {
  /** Nothing has been read from it, and nothing will be until its new owner asks. */
  readonly socket: net.Socket;
  /** `vsock:2:1234` (CID and port), `serial:` and the port's name or path, or `unix`. */
  readonly peer: string;
}

export interface Listener {
  /** What was asked for. */
  readonly endpoint: ListenEndpoint;
  /** Stops accepting; connections that exist stay. Idempotent. */
  close(): Promise<void>;
}
