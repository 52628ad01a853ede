// Listening on whatever kind of address was configured.
import { type Logger, silentLogger } from '../log.ts';
import type { Connection, Listener } from './connection.ts';
import type { ListenEndpoint } from './endpoint.ts';
import { listenUnix } from './unix.ts';
import { listenVsock } from './vsock.ts';

export interface ListenOptions {
  /** On vsock, the only CID that is let in; any container could connect by CID 1 or the guest's own. Default 2, the host. */
  allowedCid?: number | 'any';
  /** Told what becomes of a serial line and its clients. */
  log?: Logger;
}

/** man 7 vsock, VMADDR_CID_HOST */
const HOST_CID = 2;

/** @throws {AgentError} by errno, not_found for a serial port that is not there, or internal when this Node cannot take a vsock */
export async function listen(
  endpoint: ListenEndpoint,
  options: ListenOptions,
  onConnection: (connection: Connection) => void,
): Promise<Listener> {
  if (endpoint.kind === 'unix') return listenUnix(endpoint, onConnection);
  if (endpoint.kind === 'serial') {
    const { listenSerial } = await import('./serial/listen.ts');
    return listenSerial(endpoint, onConnection, options.log ?? silentLogger);
  }
  return listenVsock(endpoint, options.allowedCid ?? HOST_CID, onConnection);
}
