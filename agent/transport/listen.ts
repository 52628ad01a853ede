// Listening on whatever kind of address was configured.
import type { Connection, Listener } from './connection.ts';
import type { ListenEndpoint } from './endpoint.ts';
import { listenUnix } from './unix.ts';
import { listenVsock } from './vsock.ts';

export interface ListenOptions {
  /** On vsock, the only CID that is let in; any container could connect by CID 1 or the guest's own. Default 2, the host. */
  allowedCid?: number | 'any';
}

/** man 7 vsock, VMADDR_CID_HOST */
const HOST_CID = 2;

/** @throws {AgentError} by errno, or internal when this Node cannot take a vsock */
export async function listen(
  endpoint: ListenEndpoint,
  options: ListenOptions,
  onConnection: (connection: Connection) => void,
): Promise<Listener> {
  if (endpoint.kind === 'unix') return listenUnix(endpoint, onConnection);
  return listenVsock(endpoint, options.allowedCid ?? HOST_CID, onConnection);
}
