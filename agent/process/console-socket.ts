// Takes the terminal of a container process from crun: it connects to a Unix socket and sends the pty's master
// over it (runc's docs/terminals.md; SCM_RIGHTS, man 7 unix).
import { unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { native, type Watch } from '../../native/index.ts';
import { AgentError, isErrno } from '../errors.ts';

/** From when crun has returned. It sends the master before that, so this only bounds one that sends none. */
const HANDOVER_TIMEOUT_MS = 10_000;
/** crun sends the pts's path as the message's data. */
const MAX_MESSAGE_BYTES = 4096;

export interface ConsoleReceiver {
  readonly path: string;
  /** The master's fd, the caller's from then on; ask when crun has returned. The socket is gone afterwards. @throws deadline_exceeded, internal */
  master(): Promise<number>;
  /** Gives up, closing a master that came meanwhile. */
  close(): Promise<void>;
}

let nextConsole = 0;

export async function receiveConsole(runtimeDir: string, timeoutMs = HANDOVER_TIMEOUT_MS): Promise<ConsoleReceiver> {
  const door = native();
  // A counter, not the container's id: a Unix socket's path holds 107 bytes.
  const path = join(runtimeDir, `console-${process.pid}-${nextConsole++}.sock`);
  const listenFd = door.unixListen(path, 1);
  const watches: Watch[] = [];
  let connectionFd: number | undefined;
  let masterFd: number | undefined;
  let timer: NodeJS.Timeout | undefined;

  const { promise: received, resolve, reject } = Promise.withResolvers<number>();
  const onMessage = () => {
    try {
      const { fds } = door.recvFds(connectionFd!, MAX_MESSAGE_BYTES);
      for (const watch of watches) watch.close();
      masterFd = fds[0];
      if (masterFd === undefined) reject(new AgentError('internal', 'crun sent no terminal'));
      else resolve(masterFd);
    } catch (error) {
      if (!isErrno(error, 'EAGAIN')) reject(error);
    }
  };
  const onConnection = () => {
    if (connectionFd !== undefined) return;
    try {
      connectionFd = door.unixAccept(listenFd);
      watches.push(door.watchReadable(connectionFd, onMessage));
    } catch (error) {
      if (!isErrno(error, 'EAGAIN')) reject(error);
    }
  };
  watches.push(door.watchReadable(listenFd, onConnection));

  let released = false;
  const release = async () => {
    if (released) return;
    released = true;
    clearTimeout(timer);
    for (const watch of watches) watch.close();
    if (connectionFd !== undefined) door.close(connectionFd);
    door.close(listenFd);
    await unlink(path).catch(ignoreMissing);
  };
  // Without a waiter a rejection would count as unhandled; master() hands the same one on.
  received.catch(() => {});

  return {
    path,
    master: () => {
      timer = setTimeout(
        () => reject(new AgentError('deadline_exceeded', `no terminal from crun within ${timeoutMs} ms`)),
        timeoutMs,
      );
      return received.finally(release);
    },
    close: async () => {
      if (masterFd !== undefined && !released) door.close(masterFd);
      await release();
    },
  };
}

function ignoreMissing(error: unknown): void {
  if (!isErrno(error, 'ENOENT')) throw error;
}
