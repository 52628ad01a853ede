// vsock listeners. The addon accepts and refuses by the peer's CID before a byte is read; what is let in becomes a socket.
import { native } from '../../native/index.ts';
import { fromErrno } from '../errors.ts';
import type { Connection, Listener } from './connection.ts';
import { formatEndpoint, type VsockEndpoint } from './endpoint.ts';
import { checkPipeHandles, socketFromFd } from './pipe-handle.ts';

const BACKLOG = 128;

export interface VsockListener extends Listener {
  /** Connections closed because their CID is not the one allowed. */
  readonly refused: number;
}

/**
 * Listens on a vsock port.
 * @param allowedCid the only peer that is accepted; `'any'` accepts all
 * @throws {AgentError} by errno
 */
export function listenVsock(
  endpoint: VsockEndpoint,
  allowedCid: number | 'any',
  onConnection: (connection: Connection) => void,
): VsockListener {
  checkPipeHandles();
  const listenFd = open(endpoint);
  const watch = native().vsockAccept(listenFd, allowedCid === 'any' ? undefined : allowedCid, (fd, peer) => {
    onConnection({ socket: socketFromFd(fd), peer: `vsock:${peer.cid}:${peer.port}` });
  });
  let closed = false;
  return {
    endpoint,
    get refused() {
      return watch.refused;
    },
    async close() {
      if (closed) return;
      closed = true;
      watch.close();
      native().close(listenFd);
    },
  };
}

function open(endpoint: VsockEndpoint): number {
  try {
    return native().vsockListen(endpoint.cid, endpoint.port, BACKLOG);
  } catch (error) {
    throw fromErrno(error, `listen on ${formatEndpoint(endpoint)}`, { endpoint: formatEndpoint(endpoint) });
  }
}
