// The method table as ttrpc asks for it: service and method apart, so that an unknown service differs from an unknown method.
import { AgentError } from '../../errors.ts';
import type { AnyUnaryMethod, MethodTable } from '../service.ts';

export interface MethodIndex {
  /** @throws {AgentError} invalid_argument for a service, unimplemented for a method that is not there; texts as ttrpc's Rust server has them */
  find(service: string, method: string): AnyUnaryMethod;
}

/** Methods with streams are left out: no ttrpc client of ours has them. */
export function indexMethods(table: MethodTable): MethodIndex {
  const services = new Map<string, Map<string, AnyUnaryMethod>>();
  for (const method of table.values()) {
    const methods = services.get(method.service) ?? new Map<string, AnyUnaryMethod>();
    services.set(method.service, methods);
    if (method.kind === 'unary') methods.set(method.name, method);
  }
  return {
    find(service, name) {
      const methods = services.get(service);
      if (!methods) throw new AgentError('invalid_argument', `${service} service does not exist`, { fields: { service } });
      const method = methods.get(name);
      if (!method)
        throw new AgentError('unimplemented', `${service}/${name} method is not implemented`, {
          fields: { service, method: name },
        });
      return method;
    },
  };
}
