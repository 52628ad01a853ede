// The gRPC side: grpc-js fed with connections that are open already and with the same method table as ttrpc. Messages pass it as bytes, so
// that decoding, encoding and their failures are the same on both protocols. Loaded at the first HTTP/2 client.
import type net from 'node:net';
import * as grpc from '@grpc/grpc-js';
import { InFlight } from '../in-flight.ts';
import { MAX_GRPC_CALLS_PER_CONNECTION, MAX_GRPC_SESSION_MB, MAX_GRPC_STREAMS, MAX_MESSAGE_BYTES } from '../limits.ts';
import { type Caller, type ConnectionUse, type Method, methodPath } from '../service.ts';
import { codeToNumber } from '../status.ts';
import { duplexHandler, type HandlerContext, streamHandler, unaryHandler } from './handlers.ts';

export interface GrpcServer {
  /** Takes over a socket whose first bytes, if any were read, have been put back. */
  accept(socket: net.Socket, caller: Caller): void;
  /** Open calls of a connection. */
  use(caller: Caller): Readonly<Pick<ConnectionUse, 'calls' | 'streams'>>;
  /** GOAWAY to all; calls that run may finish for `graceMs`. */
  close(graceMs: number): Promise<void>;
}

const OPTIONS: grpc.ServerOptions = {
  'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
  'grpc.max_concurrent_streams': MAX_GRPC_STREAMS,
  'grpc-node.max_session_memory': MAX_GRPC_SESSION_MB,
  'grpc.enable_channelz': 0,
};

export function createGrpcServer(methods: Iterable<Method>, options: Pick<HandlerContext, 'log' | 'onCall'>): GrpcServer {
  const callers = new Map<string, Caller>();
  const sockets = new Set<net.Socket>();
  const uses = new WeakMap<Caller, { calls: number; streams: number }>();
  const inFlight = new WeakMap<Caller, InFlight>();
  const context: HandlerContext = {
    ...options,
    callerOf: (peer) => callers.get(peer),
    inFlightOf: (caller) => inFlight.get(caller),
    count(caller, kind, change) {
      const use = uses.get(caller);
      if (use !== undefined) use[kind === 'unary' ? 'calls' : 'streams'] += change;
    },
  };
  const server = new grpc.Server({ ...OPTIONS, interceptors: [refuseCompressed] });
  for (const method of methods) register(server, method, context);
  const injector = server.createConnectionInjector(grpc.ServerCredentials.createInsecure());
  return {
    accept(socket, caller) {
      // grpc-js tells a handler its peer by this property; on a socket made from an fd it would be undefined.
      Object.defineProperty(socket, 'remoteAddress', { value: caller.id });
      callers.set(caller.id, caller);
      uses.set(caller, { calls: 0, streams: 0 });
      inFlight.set(caller, new InFlight(MAX_GRPC_CALLS_PER_CONNECTION));
      sockets.add(socket);
      socket.once('close', () => {
        callers.delete(caller.id);
        sockets.delete(socket);
      });
      injector.injectConnection(socket);
    },
    use: (caller) => uses.get(caller) ?? { calls: 0, streams: 0 },
    async close(graceMs) {
      const gone = [...sockets].map((socket) => new Promise((resolve) => socket.once('close', resolve)));
      const timer = setTimeout(() => {
        for (const socket of sockets) socket.destroy();
      }, graceMs);
      // Its callback is no sign: Node's http2 closes the sessions along with the server, and grpc-js takes a closed session for a gone one.
      server.tryShutdown(() => {});
      await Promise.all(gone);
      clearTimeout(timer);
    },
  };
}

function register(server: grpc.Server, method: Method, context: HandlerContext): void {
  const path = methodPath(method);
  const asBytes = (bytes: Buffer) => bytes;
  const add = (handler: grpc.UntypedHandleCall, type: string) => server.register(path, handler, asBytes, asBytes, type);
  let ok: boolean;
  if (method.kind === 'unary') ok = add(unaryHandler(method, context), 'unary');
  else if (method.kind === 'duplex') ok = add(duplexHandler(method, context), 'bidi');
  else ok = add(streamHandler(method, context), method.kind === 'bidi' ? 'bidi' : 'serverStream');
  if (!ok) throw new TypeError(`method ${path} is registered twice`);
}

/**
 * Inflating on behalf of a client is work we need not do: over vsock nothing is gained by it. grpc-js has no option for it and
 * takes the header out of the metadata, so the call's own field is read.
 */
const refuseCompressed: grpc.ServerInterceptor = (_method, call) => {
  const { incomingEncoding } = call as { incomingEncoding?: string };
  if (incomingEncoding !== 'identity') {
    call.sendStatus({ code: codeToNumber('unimplemented'), details: `grpc-encoding ${incomingEncoding} is not supported` });
  }
  return call as grpc.ServerInterceptingCall;
};
