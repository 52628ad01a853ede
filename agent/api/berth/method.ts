// One entry of the method table for Berth's own API: the call is counted to its client before it is handled.
import type { CallContext, Decoder, DuplexMethod, DuplexStream, Encoder, StreamMethod, UnaryMethod } from '../../rpc/service.ts';
import type { Client, Clients } from '../../sandbox/clients.ts';

/** A call with the client it comes from. */
export interface BerthCall extends CallContext {
  readonly client: Client;
}

export interface ServiceBuilder {
  unary<Req, Res>(
    name: string,
    request: Decoder<Req>,
    response: Encoder<Res>,
    handle: (request: Req, call: BerthCall) => Promise<Res> | Res,
  ): UnaryMethod<Req, Res>;
  /** One request, a stream of answers. Counts as a stream of the client while it is open. */
  serverStream<Req, Res>(
    name: string,
    request: Decoder<Req>,
    response: Encoder<Res>,
    handle: (request: Req, call: BerthCall) => AsyncIterable<Res>,
  ): StreamMethod<Req, Res>;
  /** Streams both ways. Counts as a stream of the client while it is open. */
  bidi<Req, Res>(
    name: string,
    request: Decoder<Req>,
    response: Encoder<Res>,
    handle: (requests: AsyncIterable<Req>, call: BerthCall) => AsyncIterable<Res>,
  ): StreamMethod<Req, Res>;
  /** As `bidi`, with the two directions apart. */
  duplex<Req, Res>(
    name: string,
    request: Decoder<Req>,
    response: Encoder<Res>,
    handle: (stream: DuplexStream<Req, Res>, call: BerthCall) => Promise<void>,
  ): DuplexMethod<Req, Res>;
}

/** @param service without the package: `Containers` */
export function berthService(service: string, clients: Clients): ServiceBuilder {
  const name = `berth.v1.${service}`;
  const counted = (call: CallContext): BerthCall => {
    const client = clients.of(call.caller);
    client.call();
    return {
      caller: call.caller,
      metadata: call.metadata,
      client,
      get signal() {
        return call.signal;
      },
      onAnswered: (listener) => call.onAnswered(listener),
    };
  };
  async function* held<Res>(call: CallContext, handle: (call: BerthCall) => AsyncIterable<Res>): AsyncGenerator<Res> {
    const berthCall = counted(call);
    const release = berthCall.client.take('streams');
    try {
      yield* handle(berthCall);
    } finally {
      release();
    }
  }
  return {
    unary: (method, request, response, handle) => ({
      kind: 'unary',
      service: name,
      name: method,
      request,
      response,
      handle: (message, call) => handle(message, counted(call)),
    }),
    serverStream: (method, request, response, handle) => ({
      kind: 'server-stream',
      service: name,
      name: method,
      request,
      response,
      handle: (requests, call) => held(call, (berthCall) => answerOne(requests, (message) => handle(message, berthCall))),
    }),
    bidi: (method, request, response, handle) => ({
      kind: 'bidi',
      service: name,
      name: method,
      request,
      response,
      handle: (requests, call) => held(call, (berthCall) => handle(requests, berthCall)),
    }),
    duplex: (method, request, response, handle) => ({
      kind: 'duplex',
      service: name,
      name: method,
      request,
      response,
      handle: async (stream, call) => {
        const berthCall = counted(call);
        const release = berthCall.client.take('streams');
        try {
          await handle(stream, berthCall);
        } finally {
          release();
        }
      },
    }),
  };
}

async function* answerOne<Req, Res>(requests: AsyncIterable<Req>, handle: (request: Req) => AsyncIterable<Res>) {
  for await (const request of requests) {
    yield* handle(request);
    return;
  }
}
