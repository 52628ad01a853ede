// A server of the fixture service and ways to reach it: by a Unix socket, as a host does, and by a socket pair that is wrapped as a vsock is.
import { mkdtemp, rm } from 'node:fs/promises';
import type net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { kataHealthMethods } from '../../agent/api/health/kata.ts';
import { type LogFields, type Logger, silentLogger } from '../../agent/log.ts';
import { type RpcServer, serve } from '../../agent/rpc/server.ts';
import { type CallObserver, methodTable } from '../../agent/rpc/service.ts';
import type { Listener } from '../../agent/transport/connection.ts';
import { dial } from '../../agent/transport/dial.ts';
import { socketFromFd } from '../../agent/transport/pipe-handle.ts';
import { listenUnix } from '../../agent/transport/unix.ts';
import type { RpcChannel } from '../../client/rpc/channel.ts';
import { GrpcClient } from '../../client/rpc/grpc-client.ts';
import { TtrpcClient } from '../../client/rpc/ttrpc-client.ts';
import { native } from '../../native/index.ts';
import { fixtureService, type Seen } from './fixture-service.ts';

export type Protocol = 'ttrpc' | 'grpc';
export type Route = 'unix socket' | 'socket pair';

export interface LogLine {
  level: string;
  message: string;
  fields: LogFields;
}

export class FixtureServer {
  readonly seen: Seen;
  readonly server: RpcServer;
  readonly lines: LogLine[] = [];
  readonly finished: Parameters<CallObserver>[0][] = [];
  readonly path: string;
  readonly #folder: string;
  readonly #listener: Listener;
  readonly #sockets: net.Socket[] = [];

  private constructor(folder: string, server: RpcServer, seen: Seen, listener: Listener) {
    this.#folder = folder;
    this.path = path.join(folder, 's');
    this.server = server;
    this.seen = seen;
    this.#listener = listener;
  }

  static async start(): Promise<FixtureServer> {
    const folder = await mkdtemp(path.join(tmpdir(), 'berth-rpc-'));
    const { methods, seen } = fixtureService();
    const log = recorder((line) => fixture.lines.push(line));
    const server = serve(methodTable([...kataHealthMethods, ...methods]), {
      log,
      onCall: (call) => fixture.finished.push(call),
      loadGrpcMethods: async () => {
        const { standardHealthMethods } = await import('../../agent/api/health/standard.ts');
        const { reflectionMethods } = await import('../../agent/api/reflection/reflection.ts');
        const services = ['grpc.AgentService', 'grpc.Health'];
        return [...standardHealthMethods(services), ...reflectionMethods(services)];
      },
    });
    const listener = await listenUnix({ kind: 'unix', path: path.join(folder, 's') }, server.accept);
    const fixture = new FixtureServer(folder, server, seen, listener);
    return fixture;
  }

  /** A raw connection, for tests that write their own bytes. */
  async socket(route: Route = 'unix socket'): Promise<net.Socket> {
    const socket = route === 'unix socket' ? await dial({ kind: 'unix', path: this.path }) : this.#pair();
    socket.on('error', () => {});
    this.#sockets.push(socket);
    return socket;
  }

  async channel(protocol: Protocol, route: Route = 'unix socket'): Promise<RpcChannel> {
    const socket = await this.socket(route);
    return protocol === 'grpc' ? new GrpcClient(socket) : new TtrpcClient(socket);
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await this.#listener.close();
    await this.server.close(0);
    await rm(this.#folder, { recursive: true });
  }

  #pair(): net.Socket {
    const [ours, theirs] = native().socketPair();
    this.server.accept({ socket: socketFromFd(theirs), peer: 'vsock:2:77' });
    return socketFromFd(ours);
  }
}

/** Waits for something that happens elsewhere in this process; gives up after 5 s. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 5_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`did not happen within 5 s: ${what}`);
    await sleep(1);
  }
}

/** All that a peer sends until it closes. */
export async function readToEnd(socket: net.Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk as Buffer));
  if (!socket.closed) await new Promise((resolve) => socket.once('end', resolve).once('close', resolve));
  socket.destroy();
  return Buffer.concat(chunks);
}

function recorder(onLine: (line: LogLine) => void): Logger {
  const at =
    (level: string) =>
    (message: string, fields: LogFields = {}) =>
      onLine({ level, message, fields });
  const logger: Logger = {
    ...silentLogger,
    error: at('error'),
    warn: at('warn'),
    info: at('info'),
    debug: at('debug'),
    child: () => logger,
  };
  return logger;
}
