// Puts a guard before a method. The servers hold only methods that came through here, so that no call has a way around it.
import { lazyMethod } from './lazy-methods.ts';
import type { AnyDuplexMethod, AnyStreamMethod, AnyUnaryMethod, CallContext, Guard, Method, MethodGuard } from './service.ts';

/** The method behind its guard; the same object when the guard can refuse none of its calls. */
export function guarded(method: Method, guard: Guard | undefined): Method {
  if (method.kind === 'unary' && method.loaded !== undefined) return guardedLazy(method, method.loaded, guard);
  const gate = guard?.forMethod(method);
  if (gate === undefined) return method;
  switch (method.kind) {
    case 'unary':
      return guardedUnary(method, gate);
    case 'duplex':
      return guardedDuplex(method, gate);
    default:
      return guardedStream(method, gate);
  }
}

/** What passes a method that is not loaded yet is bytes, so the guard stands before the one that will be. */
function guardedLazy(method: Method, loaded: () => Promise<AnyUnaryMethod>, guard: Guard | undefined): AnyUnaryMethod {
  let behind: AnyUnaryMethod | undefined;
  return lazyMethod(method, async () => {
    behind ??= guarded(await loaded(), guard) as AnyUnaryMethod;
    return behind;
  });
}

function guardedUnary(method: AnyUnaryMethod, gate: MethodGuard): AnyUnaryMethod {
  const { refused } = method;
  return {
    ...method,
    handle: (request: unknown, call: CallContext) => {
      try {
        gate.admit(request, call.caller);
      } catch (refusal) {
        if (refused === undefined) throw refusal;
        return refused(request, call);
      }
      return method.handle(request, call);
    },
  };
}

function guardedDuplex(method: AnyDuplexMethod, gate: MethodGuard): AnyDuplexMethod {
  return {
    ...method,
    handle: async (stream, call) => {
      const requests = await begin(stream.requests, gate, call);
      return method.handle({ requests, send: (message) => stream.send(message) }, call);
    },
  };
}

function guardedStream(method: AnyStreamMethod, gate: MethodGuard): AnyStreamMethod {
  return {
    ...method,
    handle: (requests: AsyncIterable<unknown>, call: CallContext) => {
      let running: AsyncIterator<unknown> | undefined;
      const start = async () => {
        running = method.handle(await begin(requests, gate, call), call)[Symbol.asyncIterator]();
        return running.next();
      };
      const responses: AsyncIterator<unknown> = {
        next: () => running?.next() ?? start(),
        return: async () => (await running?.return?.()) ?? { done: true, value: undefined },
      };
      return { [Symbol.asyncIterator]: () => responses };
    },
  };
}

/** Resolves when the first message has been let in, or when there will be none: only then does a handler begin. */
async function begin(
  requests: AsyncIterable<unknown>,
  gate: MethodGuard,
  { caller }: CallContext,
): Promise<AsyncIterable<unknown>> {
  const admitted = admittedMessages(requests, gate.open(caller));
  const first = await admitted.next();
  return first.done ? admitted : startingWith(first.value, admitted);
}

async function* admittedMessages(requests: AsyncIterable<unknown>, admit: (request: unknown) => void): AsyncGenerator<unknown> {
  for await (const request of requests) {
    admit(request);
    yield request;
  }
}

async function* startingWith(first: unknown, rest: AsyncIterable<unknown>): AsyncGenerator<unknown> {
  yield first;
  yield* rest;
}
