// A service whose messages and handlers are loaded at its first call: until then it costs its names. The bytes of a call pass through
// as they are, and the method that is loaded decodes, handles and encodes them as it would have done itself.
import { AgentError } from '../errors.ts';
import { invoke } from './invoke.ts';
import { type AnyUnaryMethod, type Method, methodPath, type UnaryMethod } from './service.ts';

export interface LazyMethod extends UnaryMethod<Uint8Array, Uint8Array> {
  readonly loaded: () => Promise<AnyUnaryMethod>;
}

const asBytes = {
  decode: (bytes: Uint8Array) => bytes,
  encode: (bytes: Uint8Array) => ({ finish: () => bytes }),
};

/**
 * Entries for the table.
 * @param names unary methods by service, to be found among what `load` gives
 * @param load gives the same methods each time
 */
export function lazyMethods(
  names: Readonly<Record<string, readonly string[]>>,
  load: () => Promise<Iterable<Method>>,
): LazyMethod[] {
  let index: Map<string, AnyUnaryMethod> | undefined;
  const find = async (path: string) => {
    index ??= byPath(await load());
    const method = index.get(path);
    if (method === undefined) throw new AgentError('internal', `${path} is named but not there`);
    return method;
  };
  return Object.entries(names).flatMap(([service, methods]) =>
    methods.map((name) => lazyMethod({ service, name }, () => find(methodPath({ service, name })))),
  );
}

/** @param loaded gives the method itself; a failure is tried again by the next call */
export function lazyMethod(
  { service, name }: Pick<Method, 'service' | 'name'>,
  loaded: () => Promise<AnyUnaryMethod>,
): LazyMethod {
  return {
    kind: 'unary',
    service,
    name,
    request: asBytes,
    response: asBytes,
    loaded,
    handle: async (bytes, call) => invoke(await loaded(), bytes, call),
  };
}

function byPath(methods: Iterable<Method>): Map<string, AnyUnaryMethod> {
  const map = new Map<string, AnyUnaryMethod>();
  for (const method of methods) if (method.kind === 'unary') map.set(methodPath(method), method);
  return map;
}
