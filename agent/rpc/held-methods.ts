// Methods whose calls wait until the agent has found out what there is: it listens before it knows.
import { lazyMethod } from './lazy-methods.ts';
import type { AnyUnaryMethod, CallContext, DuplexStream, Method } from './service.ts';

/** The same method, each of its calls after `known`; a call whose wait fails gets that error. */
export function heldUntil(known: () => Promise<void>, method: Method): Method {
  switch (method.kind) {
    case 'unary': {
      const { loaded } = method;
      if (loaded !== undefined) return lazyMethod(method, async () => heldUntil(known, await loaded()) as AnyUnaryMethod);
      return { ...method, handle: (request: unknown, call: CallContext) => known().then(() => method.handle(request, call)) };
    }
    case 'duplex':
      return {
        ...method,
        handle: (stream: DuplexStream<unknown, unknown>, call: CallContext) => known().then(() => method.handle(stream, call)),
      };
    default:
      return {
        ...method,
        handle: async function* (requests: AsyncIterable<unknown>, call: CallContext) {
          await known();
          yield* method.handle(requests, call);
        },
      };
  }
}
