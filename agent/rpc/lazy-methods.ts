// A service whose messages and handlers are loaded at its first call: until then it costs its names. The bytes of a call pass through
// as they are, and the method that is loaded decodes, handles and encodes them as it would have done itself.
import { AgentError } from '../errors.ts';
import { invoke } from './invoke.ts';
import type { AnyUnaryMethod, Method, UnaryMethod } from './service.ts';

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
): UnaryMethod<Uint8Array, Uint8Array>[] {
  let index: Map<string, AnyUnaryMethod> | undefined;
  const find = async (service: string, name: string) => {
    index ??= byName(await load());
    const method = index.get(`${service}/${name}`);
    if (method === undefined) throw new AgentError('internal', `${service}/${name} is named but not there`);
    return method;
  };
  return Object.entries(names).flatMap(([service, methods]) =>
    methods.map((name) => ({
      kind: 'unary' as const,
      service,
      name,
      request: asBytes,
      response: asBytes,
      handle: async (bytes: Uint8Array, call) => invoke(await find(service, name), bytes, call),
    })),
  );
}

function byName(methods: Iterable<Method>): Map<string, AnyUnaryMethod> {
  const map = new Map<string, AnyUnaryMethod>();
  for (const method of methods) if (method.kind === 'unary') map.set(`${method.service}/${method.name}`, method);
  return map;
}
