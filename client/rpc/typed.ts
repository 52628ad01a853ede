// Typed calls: turns a list of methods into an object of functions over a channel.
import { AgentError } from '../../agent/errors.ts';
import type { CallOptions, RpcChannel } from './channel.ts';

/** One method by the classes of its messages. */
export interface MethodTypes<Req, Res> {
  readonly request: { encode(message: Req): { finish(): Uint8Array } };
  readonly response: { decode(bytes: Uint8Array): Res };
}

// biome-ignore lint/suspicious/noExplicitAny: a list mixes methods of every message type
type AnyMethods = Readonly<Record<string, MethodTypes<any, any>>>;

/** A call with streams, its messages typed. */
export interface TypedStream<Req, Res> extends AsyncIterable<Res> {
  send(message: Req): Promise<void>;
  end(): void;
  cancel(): void;
}

/** Opens one. A method with a single request is opened, sent that, and ended. */
export function openStream<Req, Res>(
  channel: RpcChannel,
  path: { service: string; method: string },
  { request, response }: MethodTypes<Req, Res>,
  options?: CallOptions,
): TypedStream<Req, Res> {
  const stream = channel.stream(path.service, path.method, options);
  async function* decoded(): AsyncGenerator<Res> {
    for await (const bytes of stream) yield response.decode(bytes);
  }
  return {
    send: (message) => stream.send(request.encode(message).finish()),
    end: stream.end,
    cancel: stream.cancel,
    [Symbol.asyncIterator]: decoded,
  };
}

/** `{createContainer(request, options?) => Promise<Empty>, ...}` */
export type ServiceClient<Methods extends AnyMethods> = {
  readonly [Name in keyof Methods]: Methods[Name] extends MethodTypes<infer Req, infer Res>
    ? (request: Req, options?: CallOptions) => Promise<Res>
    : never;
};

export function method<Req, Res>(
  request: MethodTypes<Req, Res>['request'],
  response: MethodTypes<Req, Res>['response'],
): MethodTypes<Req, Res> {
  return { request, response };
}

/** The functions of `service`. A key is the method's name with its first letter in lower case. */
export function serviceClient<Methods extends AnyMethods>(
  channel: RpcChannel,
  service: string,
  methods: Methods,
): ServiceClient<Methods> {
  const client: Record<string, (request: unknown, options?: CallOptions) => Promise<unknown>> = {};
  for (const [key, { request, response }] of Object.entries(methods)) {
    const name = key[0]!.toUpperCase() + key.slice(1);
    client[key] = async (message, options) => {
      const bytes = await channel.unary(service, name, request.encode(message).finish(), options);
      try {
        return response.decode(bytes);
      } catch (error) {
        throw new AgentError('internal', `${name}: malformed response`, { cause: error, fields: { method: name } });
      }
    };
  }
  return client as ServiceClient<Methods>;
}
