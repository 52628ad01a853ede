// What stock gRPC tools look for beside an API: the standard health service and server reflection. Loaded with the gRPC server.
import type { Method } from '../rpc/service.ts';
import { standardHealthMethods } from './health/standard.ts';
import { reflectionMethods } from './reflection/reflection.ts';

/** @param served the methods that are offered in any case */
export function grpcMethods(served: readonly Method[]): Method[] {
  const services = new Set(served.map(({ service }) => service));
  const health = standardHealthMethods(services);
  return [...health, ...reflectionMethods([...services, ...health.map(({ service }) => service)])];
}
