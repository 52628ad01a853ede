// Serves one method table on any number of connections: tells each one's protocol by its first bytes and hands it on.
// The gRPC side is loaded when its first client comes, so that an agent that only meets ttrpc never pays for it.
import type net from 'node:net';
import { AgentError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { Connection } from '../transport/connection.ts';
import { readChunks, socketForHttp2 } from '../transport/pipe-handle.ts';
import { protocolOf } from '../transport/sniff.ts';
import type { GrpcServer } from './grpc/server.ts';
import { guarded } from './guard.ts';
import { MAX_CONNECTIONS, MAX_SILENT_CONNECTIONS, SNIFF_TIMEOUT_MS } from './limits.ts';
import type { Caller, CallObserver, ConnectionUse, Guard, Method, MethodTable } from './service.ts';
import { TtrpcConnection, type TtrpcConnectionOptions } from './ttrpc/connection.ts';
import { indexMethods } from './ttrpc/method-index.ts';

export interface ServeOptions {
  readonly log: Logger;
  readonly onCall?: CallObserver;
  /** Stands before every method, those of loadGrpcMethods too. */
  readonly guard?: Guard;
  /** A connection that has been told apart has ended: its calls have been aborted. */
  readonly onDisconnect?: (caller: Caller) => void;
  /** Methods that only gRPC clients know to ask for (health, reflection); loaded with the gRPC server. */
  readonly loadGrpcMethods?: () => Promise<Iterable<Method>>;
}

export interface RpcServer {
  /** Takes a connection over. */
  accept(connection: Connection): void;
  /** Connections that are open, whatever their protocol. */
  readonly connections: number;
  /** Of those that have said what they speak. */
  uses(): ConnectionUse[];
  /** Refuses what is new, lets running calls finish for `graceMs`, then closes every connection. Stop listening first. */
  close(graceMs: number): Promise<void>;
}

/** A connection that has not said what it speaks. */
interface Silent {
  head: Buffer;
  timer: NodeJS.Timeout;
  socket: net.Socket;
}

export function serve(table: MethodTable, options: ServeOptions): RpcServer {
  return new Server(table, options);
}

class Server implements RpcServer {
  readonly #table: MethodTable;
  readonly #options: ServeOptions;
  readonly #ttrpcOptions: TtrpcConnectionOptions;
  readonly #open = new Set<net.Socket>();
  /** Oldest first. */
  readonly #silent = new Set<Silent>();
  readonly #ttrpc = new Set<TtrpcConnection>();
  #grpc: Promise<GrpcServer> | undefined;
  readonly #users = new Map<
    net.Socket,
    { readonly caller: Caller; readonly use: () => Pick<ConnectionUse, 'calls' | 'streams'> }
  >();
  #accepted = 0;
  #closing = false;

  constructor(table: MethodTable, options: ServeOptions) {
    this.#table = new Map([...table].map(([path, method]) => [path, guarded(method, options.guard)]));
    this.#options = options;
    this.#ttrpcOptions = { methods: indexMethods(this.#table), log: options.log, onCall: options.onCall };
  }

  get connections(): number {
    return this.#open.size;
  }

  uses(): ConnectionUse[] {
    return [...this.#users].map(([socket, { caller, use }]) => ({ caller, ...use(), sentBytes: socket.bytesWritten }));
  }

  accept = ({ socket, peer }: Connection): void => {
    if (this.#closing || this.#open.size >= MAX_CONNECTIONS) {
      if (!this.#closing) this.#options.log.warn('connection refused: too many', { peer, limit: MAX_CONNECTIONS });
      socket.destroy();
      return;
    }
    const id = `c${++this.#accepted}`;
    let receive = (chunk: Buffer): boolean => sniff(chunk);
    const silent: Silent = {
      head: Buffer.alloc(0),
      socket: this.#track(readChunks(socket, (chunk) => receive(chunk))),
      timer: setTimeout(() => silent.socket.destroy(), SNIFF_TIMEOUT_MS),
    };
    this.#silent.add(silent);
    silent.socket.once('end', () => silent.socket.end());
    silent.socket.once('close', () => this.#noLongerSilent(silent));
    if (this.#silent.size > MAX_SILENT_CONNECTIONS) this.#dropOldestSilent();

    const sniff = (chunk: Buffer): boolean => {
      silent.head = Buffer.concat([silent.head, chunk]);
      const protocol = protocolOf(silent.head);
      if (protocol === 'more') return true;
      this.#noLongerSilent(silent);
      if (protocol === 'unknown') {
        this.#options.log.debug('connection closed: neither ttrpc nor gRPC', { client: id, peer, first: silent.head[0] });
        silent.socket.destroy();
        return false;
      }
      const caller: Caller = { id, protocol, peer };
      this.#options.log.debug('client connected', { client: id, peer, protocol });
      if (protocol === 'grpc') {
        this.#acceptGrpc(silent, caller);
        return false;
      }
      const connection = this.#acceptTtrpc(silent.socket, caller);
      this.#watchEnd(silent.socket, caller, () => ({ calls: connection.calls, streams: 0 }));
      receive = (bytes) => connection.receive(bytes);
      return connection.receive(silent.head);
    };
  };

  async close(graceMs: number): Promise<void> {
    this.#closing = true;
    for (const { socket } of this.#silent) socket.destroy();
    const grpc = this.#grpc?.then(
      (server) => server.close(graceMs),
      () => {},
    );
    await Promise.all([grpc, ...[...this.#ttrpc].map((connection) => connection.drain(graceMs))]);
    for (const socket of this.#open) socket.destroy();
  }

  #acceptTtrpc(socket: net.Socket, caller: Caller): TtrpcConnection {
    const connection = new TtrpcConnection(socket, caller, this.#ttrpcOptions);
    this.#ttrpc.add(connection);
    socket.once('close', () => this.#ttrpc.delete(connection));
    return connection;
  }

  /** The handle can change hands once we are out of its read callback. */
  #acceptGrpc(silent: Silent, caller: Caller): void {
    setImmediate(async () => {
      try {
        const server = await this.#loadGrpc();
        const socket = this.#track(socketForHttp2(silent.socket));
        this.#watchEnd(socket, caller, () => server.use(caller));
        socket.unshift(silent.head);
        server.accept(socket, caller);
      } catch (error) {
        // A client that left meanwhile is nothing to report; a gRPC side that can't be loaded is.
        if (!(error instanceof AgentError)) this.#options.log.error('gRPC is not available', { error });
        silent.socket.destroy();
      }
    });
  }

  #loadGrpc(): Promise<GrpcServer> {
    this.#grpc ??= (async () => {
      const [{ createGrpcServer }, extra] = await Promise.all([
        import('./grpc/server.ts'),
        this.#options.loadGrpcMethods?.() ?? [],
      ]);
      const methods = [...extra].map((method) => guarded(method, this.#options.guard));
      return createGrpcServer([...this.#table.values(), ...methods], this.#options);
    })();
    return this.#grpc;
  }

  #watchEnd(socket: net.Socket, caller: Caller, use: () => Pick<ConnectionUse, 'calls' | 'streams'>): void {
    this.#users.set(socket, { caller, use });
    socket.once('close', () => {
      this.#users.delete(socket);
      this.#options.log.debug('client gone', { client: caller.id, peer: caller.peer, protocol: caller.protocol });
      this.#options.onDisconnect?.(caller);
    });
  }

  #track(socket: net.Socket): net.Socket {
    this.#open.add(socket);
    socket.once('close', () => this.#open.delete(socket));
    // Every way a connection can break ends in 'close', which is where it is dealt with.
    socket.on('error', (error) => this.#options.log.debug('connection broke', { error }));
    return socket;
  }

  #noLongerSilent(silent: Silent): void {
    clearTimeout(silent.timer);
    this.#silent.delete(silent);
  }

  #dropOldestSilent(): void {
    for (const oldest of this.#silent) {
      this.#noLongerSilent(oldest);
      oldest.socket.destroy();
      return;
    }
  }
}
