// A port or a Unix socket of this machine that leads into a guest: each connection to it is a tunnel of its own.
import { once } from 'node:events';
import net from 'node:net';
import type { Tunnel, TunnelOptions, TunnelTarget } from './tunnel.ts';

/** Where a forward listens. */
export interface ForwardOptions {
  /** A port (0 is any free one) on 127.0.0.1 or on `host`, or the path of a Unix socket to make. */
  readonly listen: number | { readonly port: number; readonly host?: string } | { readonly unix: string };
  readonly to: TunnelTarget;
  /** Of each connection's tunnel. */
  readonly timeoutMs?: number;
  /** A connection that was reset because nothing answers in the guest, or the tunnel broke. The forward goes on. */
  readonly onError?: (error: Error) => void;
}

/** At a time; more are closed at once. The agent allows a client 1024 streams in all. */
const MAX_CONNECTIONS = 512;

/** A port of this host that leads into a guest. */
export class Forward implements AsyncDisposable {
  readonly #server: net.Server;
  /** What cuts each connection. */
  readonly #connections = new Set<AbortController>();
  readonly #open: (options: TunnelOptions) => Promise<Tunnel>;
  readonly #options: ForwardOptions;
  #port = 0;

  private constructor(options: ForwardOptions, open: (options: TunnelOptions) => Promise<Tunnel>) {
    this.#options = options;
    this.#open = open;
    const accept = { allowHalfOpen: true, pauseOnConnect: true };
    this.#server = net.createServer(accept, (socket) => void this.#onConnection(socket));
    this.#server.maxConnections = MAX_CONNECTIONS;
  }

  /** Listens when this resolves. @throws the system's error when it can't */
  static async start(options: ForwardOptions, open: (options: TunnelOptions) => Promise<Tunnel>): Promise<Forward> {
    const forward = new Forward(options, open);
    const { listen } = options;
    if (typeof listen === 'object' && 'unix' in listen) forward.#server.listen(listen.unix);
    else if (typeof listen === 'object') forward.#server.listen(listen.port, listen.host ?? '127.0.0.1');
    else forward.#server.listen(listen, '127.0.0.1');
    await once(forward.#server, 'listening');
    const address = forward.#server.address();
    forward.#port = typeof address === 'object' && address !== null ? address.port : 0;
    return forward;
  }

  /** The port that is listened on; 0 for a Unix socket. */
  get port(): number {
    return this.#port;
  }

  /** Connections that are open. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Listens no more and cuts the connections there are. Idempotent. */
  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const cut of this.#connections) cut.abort();
    await closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #onConnection(socket: net.Socket): Promise<void> {
    const cut = new AbortController();
    const fail = (error: Error) => {
      this.#connections.delete(cut);
      if (socket.destroyed) return;
      if (!cut.signal.aborted) this.#options.onError?.(error);
      // Whoever connected sees that it broke, and not an end; unless the end is being told: to reset then, libuv refuses (EINVAL of
      // uv_tcp_close_reset) where Node takes the socket for closed, and the process could never leave.
      const ending = socket.writableEnded && !socket.writableFinished && socket.writableLength === 0;
      if (this.port > 0 && !ending) socket.resetAndDestroy();
      else socket.destroy();
    };
    this.#connections.add(cut);
    // 'close' follows.
    socket.on('error', () => {});
    socket.once('close', () => {
      // What has both ends may still be on its way to the guest.
      if (!socket.readableEnded || !socket.writableFinished) cut.abort();
    });
    const { timeoutMs } = this.#options;
    try {
      const tunnel = await this.#open({ signal: cut.signal, ...(timeoutMs === undefined ? {} : { timeoutMs }) });
      tunnel.once('error', fail);
      tunnel.once('close', () => this.#connections.delete(cut));
      socket.pipe(tunnel);
      tunnel.pipe(socket);
    } catch (error) {
      fail(error as Error);
    }
  }
}
