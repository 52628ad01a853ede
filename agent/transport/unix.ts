// Unix stream sockets, by path or abstract: used natively, in tests, and by Kata's own test suite.
import { chmod, lstat, unlink } from 'node:fs/promises';
import net from 'node:net';
import { fromErrno, isErrno } from '../errors.ts';
import type { Connection, Listener } from './connection.ts';
import { formatEndpoint, type UnixEndpoint } from './endpoint.ts';

/** Kata's agent uses 10; a burst of clients at boot deserves more. */
export const BACKLOG = 128;

/**
 * Listens on a path (mode 0600) or an abstract name. A socket file nobody listens on any more is replaced.
 * @throws {AgentError} by errno; EADDRINUSE, where somebody does listen, is `unavailable`
 */
export async function listenUnix(endpoint: UnixEndpoint, onConnection: (connection: Connection) => void): Promise<Listener> {
  const doing = `listen on ${formatEndpoint(endpoint)}`;
  const isPath = !endpoint.path.startsWith('\0');
  const server = net.createServer({ pauseOnConnect: true }, (socket) => onConnection({ socket, peer: 'unix' }));
  try {
    await listen(server, endpoint.path).catch(async (error: unknown) => {
      if (!isPath || !isErrno(error, 'EADDRINUSE') || !(await isStale(endpoint.path))) throw error;
      await unlink(endpoint.path);
      await listen(server, endpoint.path);
    });
    if (isPath) await chmod(endpoint.path, 0o600);
  } catch (error) {
    server.close();
    throw fromErrno(error, doing, { endpoint: formatEndpoint(endpoint) });
  }
  // Accepting may fail for a moment (EMFILE); libuv sheds the connection and goes on.
  server.on('error', () => {});
  return {
    endpoint,
    close: () =>
      new Promise((resolve) => {
        // The callback waits for the last connection, which may stay for hours; the listening fd is closed at once.
        if (server.listening) server.close();
        resolve();
      }),
  };
}

function listen(server: net.Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ path, backlog: BACKLOG }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

async function isStale(path: string): Promise<boolean> {
  // Connecting to a plain file is refused as well, and that one is not ours to remove.
  if (!(await lstat(path)).isSocket()) return false;
  return new Promise((resolve) => {
    const probe = net.connect({ path });
    probe.once('connect', () => {
      probe.destroy();
      resolve(false);
    });
    probe.once('error', (error) => resolve(isErrno(error, 'ECONNREFUSED')));
  });
}
