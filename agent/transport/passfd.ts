// Connections that clients open ahead for the streams of a process (Kata's passfd, kata-agent.md §1.6): they wait, known by the peer's port,
// until a request names that port. Only the host is let in: a process of the guest must not put its own in the place of a client's.
import { native } from '../../native/index.ts';
import { AgentError, fromErrno } from '../errors.ts';
import type { Logger } from '../log.ts';

/** A container has three at most, and is asked for right after they are open. The oldest goes. */
const MAX_WAITING = 256;
/** Of a connection that nobody asks for. */
const WAIT_MS = 60_000;
/** How long a request waits for a connection that is still on its way: three looks of 100 ms with Kata. */
const TAKE_MS = 300;
const BACKLOG = 128;
/** man 7 vsock: any local CID, and the host's. */
const ANY_CID = 0xffffffff;

export interface PassfdTimes {
  readonly waitMs?: number;
  readonly takeMs?: number;
}

interface Waiting {
  readonly fd: number;
  readonly timer: NodeJS.Timeout;
}

/** Fds by the port of their peer, each taken once. */
export class WaitingConnections {
  readonly #waitMs: number;
  readonly #takeMs: number;
  /** Oldest first. */
  readonly #waiting = new Map<number, Waiting>();
  readonly #takers = new Map<number, (fd: number) => void>();
  #closed = false;

  constructor({ waitMs = WAIT_MS, takeMs = TAKE_MS }: PassfdTimes = {}) {
    this.#waitMs = waitMs;
    this.#takeMs = takeMs;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** Owns the fd until it is taken. */
  add(fd: number, port: number): void {
    if (this.#closed) {
      native().close(fd);
      return;
    }
    const taker = this.#takers.get(port);
    if (taker !== undefined) {
      taker(fd);
      return;
    }
    this.#drop(port);
    const timer = setTimeout(() => this.#drop(port), this.#waitMs);
    timer.unref();
    this.#waiting.set(port, { fd, timer });
    const [oldest] = this.#waiting.keys();
    if (this.#waiting.size > MAX_WAITING) this.#drop(oldest!);
  }

  /** The connection whose peer has this port, the caller's from then on. @throws not_found when there is none and none comes */
  async take(port: number): Promise<number> {
    const waiting = this.#waiting.get(port);
    if (waiting !== undefined) {
      clearTimeout(waiting.timer);
      this.#waiting.delete(port);
      return waiting.fd;
    }
    if (this.#takers.has(port)) throw noConnection(port);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#takers.delete(port);
        reject(noConnection(port));
      }, this.#takeMs);
      this.#takers.set(port, (fd) => {
        clearTimeout(timer);
        this.#takers.delete(port);
        resolve(fd);
      });
    });
  }

  close(): void {
    this.#closed = true;
    for (const port of [...this.#waiting.keys()]) this.#drop(port);
  }

  #drop(port: number): void {
    const waiting = this.#waiting.get(port);
    if (waiting === undefined) return;
    clearTimeout(waiting.timer);
    this.#waiting.delete(port);
    native().close(waiting.fd);
  }
}

export interface PassfdListener {
  take(port: number): Promise<number>;
  close(): void;
}

/** @throws {AgentError} by errno */
export function listenPassfd(port: number, allowedCid: number | 'any', log: Logger): PassfdListener {
  const door = native();
  const connections = new WaitingConnections();
  let listenFd: number;
  try {
    listenFd = door.vsockListen(ANY_CID, port, BACKLOG);
  } catch (error) {
    throw fromErrno(error, `listen on vsock port ${port}`, { port });
  }
  const watch = door.vsockAccept(listenFd, allowedCid === 'any' ? undefined : allowedCid, (fd, peer) => {
    // A host whose VMM makes the connection does not always learn the port from it.
    log.debug('connection for a stream waits', { port: peer.port });
    connections.add(fd, peer.port);
  });
  return {
    take: (peerPort) => connections.take(peerPort),
    close: () => {
      watch.close();
      door.close(listenFd);
      connections.close();
    },
  };
}

function noConnection(port: number): AgentError {
  return new AgentError('invalid_argument', `no connection from port ${port} is waiting`, { fields: { port } });
}
